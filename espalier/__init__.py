"""Pruning as a service, the user's side: ``Client`` and ``AsyncClient`` for a running service, ``load_pruned``,
``load_export`` and ``MaskBank`` for what comes out of it.

They are loaded on first use, so that the command line starts without httpx and the client without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from espalier.client._async.client import AsyncClient
    from espalier.client._sync.client import Client
    from espalier.inference.exported import load_export
    from espalier.inference.pruned import load_pruned

__all__ = ["AsyncClient", "Client", "load_export", "load_pruned"]
_HOMES = {
    "AsyncClient": "espalier.client._async.client",
    "Client": "espalier.client._sync.client",
    "MaskBank": "espalier.inference.bank",
    "load_export": "espalier.inference.exported",
    "load_pruned": "espalier.inference.pruned",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'espalier' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
