"""Client side of the pruning service: ``Client`` and ``AsyncClient`` for a running service, ``load_pruned``, ``load_export``
and ``MaskBank`` for the masks that come out of it; and the command ``espalier``.

Imported by users. Names are loaded on first use, so that the command line starts without httpx and the client without torch.
Must not import ``api`` or ``worker``; ``service`` only in the commands that run on its machine.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from espalier.client._async.client import AsyncClient
    from espalier.client._sync.client import Client
    from espalier.client.models import Dataset, Event, Job, JobResult, Sweep
    from espalier.client.timeouts import Timeouts
    from espalier.errors import (
        ApiError,
        ConfigurationError,
        DownloadCorruptError,
        EspalierError,
        JobNotSucceededError,
        NotEspalierError,
        RowError,
        UnreachableError,
    )
    from espalier.inference.loading import load_export, load_pruned
    from espalier.inference.mask_bank import MaskBank as MaskBank

    __version__: str

__all__ = [
    "ApiError",
    "AsyncClient",
    "Client",
    "ConfigurationError",
    "Dataset",
    "DownloadCorruptError",
    "EspalierError",
    "Event",
    "Job",
    "JobNotSucceededError",
    "JobResult",
    "NotEspalierError",
    "RowError",
    "Sweep",
    "Timeouts",
    "UnreachableError",
    "__version__",
    "load_export",
    "load_pruned",
]
"""All but ``MaskBank``: ``from espalier import *`` would load torch for it, and would fail where only the client is installed."""
_MODULES = {
    "AsyncClient": "client._async.client",
    "Client": "client._sync.client",
    **dict.fromkeys(("Dataset", "Event", "Job", "JobResult", "Sweep"), "client.models"),
    **dict.fromkeys((name for name in __all__ if name.endswith("Error")), "errors"),
    "MaskBank": "inference.mask_bank",
    "Timeouts": "client.timeouts",
    "load_export": "inference.loading",
    "load_pruned": "inference.loading",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib import metadata  # 10 ms of every start of the command line

        from espalier.extras import DISTRIBUTION

        return metadata.version(DISTRIBUTION)
    if name not in _MODULES:
        raise AttributeError(f"module 'espalier' has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "MaskBank"})
