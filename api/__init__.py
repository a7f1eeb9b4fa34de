"""HTTP interface of the service: validates requests, reads and writes rows of the service, and serializes them.

Started by ``espalier serve`` and by ``uvicorn``. Must not import ``worker``, ``espalier`` or torch.
"""
