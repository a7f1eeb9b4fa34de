"""Pruning as a service, the user's side: ``Client`` for a running service, ``load_pruned`` for what comes out of it.

Both are loaded on first use, so that the command line starts without httpx and the client without torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from espalier.client import Client
    from espalier.pruned import load_pruned

__all__ = ["Client", "load_pruned"]


def __getattr__(name: str) -> Any:
    if name == "Client":
        from espalier.client import Client

        return Client
    if name == "load_pruned":
        from espalier.pruned import load_pruned

        return load_pruned
    raise AttributeError(f"module 'espalier' has no attribute {name!r}")
