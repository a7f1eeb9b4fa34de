"""Client side of the pruning service: ``Client`` and ``AsyncClient`` for a running service, ``load_pruned``, ``load_export``
and ``MaskBank`` for the masks that come out of it; and the command ``espalier``.

Imported by users. Names are loaded on first use, so that the command line starts without httpx and the client without torch.
Must not import ``api`` or ``worker``; ``service`` only in the commands that run beside it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from espalier.client._async.client import AsyncClient
    from espalier.client._sync.client import Client
    from espalier.client.timeouts import Timeouts as Timeouts
    from espalier.inference.loading import load_export, load_pruned
    from espalier.inference.mask_bank import MaskBank as MaskBank

__all__ = ["AsyncClient", "Client", "load_export", "load_pruned"]
_MODULES = {
    "AsyncClient": "espalier.client._async.client",
    "Client": "espalier.client._sync.client",
    "MaskBank": "espalier.inference.mask_bank",
    "Timeouts": "espalier.client.timeouts",
    "load_export": "espalier.inference.loading",
    "load_pruned": "espalier.inference.loading",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'espalier' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
