"""Request and response bodies: pydantic models, and their construction from rows of the database.

Called by ``api.routes``, ``api.responses`` and ``api.submission``. Their names, docstrings and descriptions are part of the OpenAPI
document. The small bodies of ``health`` and ``secrets`` are defined with their routes. Must not import ``api.request`` or anything
above.
"""
