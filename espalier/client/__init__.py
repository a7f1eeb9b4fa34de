"""Python client of a running service: submit, watch, download.

Called by users, as ``Client`` or ``AsyncClient``, and by the command line. ``_async`` is written by hand; ``_sync`` is generated
from it by ``python -m scripts.unasync`` and holds nothing else. Must not import ``pruning``: it runs in the user's own process,
where that name may be the user's, and needs no more than httpx and pydantic.
"""

from espalier.client._async.client import AsyncClient
from espalier.client._sync.client import Client
from espalier.client.timeouts import Timeouts

__all__ = ["AsyncClient", "Client", "Timeouts"]
