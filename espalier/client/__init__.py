"""Python client of a running service: submit, watch, download.

Called by users, as ``Client`` or ``AsyncClient``, and by the command line. ``_async`` is written by hand; ``_sync`` is generated
from it by ``python -m scripts.unasync`` and holds nothing else. Must not import ``pruning``: it runs in the user's own process,
where that name may be the user's, and needs no more than httpx and pydantic. Names are loaded on first use, so that the command
line can use ``job_words`` without httpx.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from espalier.client._async.client import AsyncClient
    from espalier.client._sync.client import Client
    from espalier.client.timeouts import Timeouts

__all__ = ["AsyncClient", "Client", "Timeouts"]
_MODULES = {"AsyncClient": "_async.client", "Client": "_sync.client", "Timeouts": "timeouts"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'espalier.client' has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
