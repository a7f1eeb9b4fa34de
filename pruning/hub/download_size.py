"""Size of a model on the hub, compared with a limit and with the free disk before anything of it is downloaded.

Called by :mod:`pruning.hub.models`.
"""

import shutil
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from huggingface_hub import constants, try_to_load_from_cache

from pruning.errors import PermanentError, TemporaryError

_MARGIN = 256 * 1024**2
"""Bytes left free for checkpoints and for other writers to the disk."""


def require_room(name: str, commit: str | None, files: Iterable[Any], patterns: Iterable[str], limit: int | None) -> None:
    """Refuse a model whose ``files`` (the hub's list, with sizes) are too large to be downloaded.

    Raises PermanentError (``model_too_large``) beyond ``limit`` bytes, TemporaryError (``insufficient_storage``) where the disk of
    the cache has no room for those that are not in it yet.
    """
    wanted = [file for file in files if any(fnmatch(file.rfilename, pattern) for pattern in patterns)]
    total = sum(file.size or 0 for file in wanted)
    if limit is not None and total > limit:
        raise PermanentError(
            f"hub model {name!r} has {total} bytes of files, this service downloads {limit} at most; choose a smaller model, or "
            "have the limit raised",
            code="model_too_large",
            param="model",
        )
    absent = sum(
        file.size or 0 for file in wanted if not isinstance(try_to_load_from_cache(name, file.rfilename, revision=commit), str)
    )
    free = shutil.disk_usage(_existing(Path(constants.HF_HUB_CACHE))).free
    if absent and absent + _MARGIN > free:
        raise TemporaryError(
            f"hub model {name!r} needs {absent} bytes, the disk of the worker has {free} left; it is tried again",
            code="insufficient_storage",
            param="model",
        )


def _existing(folder: Path) -> Path:
    return folder if folder.exists() or folder == folder.parent else _existing(folder.parent)
