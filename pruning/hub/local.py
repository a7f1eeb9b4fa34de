"""Lookup of models and data sets by name in local directories, without leaving them.

Called by the API before a job is accepted, and by the trainer before the hub is asked. Torch-free and without the hub's client.
"""

import os
from pathlib import Path

from pruning.errors import PermanentError


def find_folder(directory: Path | None, name: str) -> Path | None:
    """The folder called ``name`` under ``directory``; None when there is no such folder, or no directory.

    ``name`` may have one slash (organisation/name). It cannot leave ``directory``; a symbolic link that an administrator
    put there may, which is why the comparison does not follow links.
    """
    if directory is None:
        return None
    root = os.path.abspath(directory)
    folder = os.path.abspath(os.path.join(root, name))
    inside = folder.startswith(root.rstrip(os.sep) + os.sep)
    return Path(folder) if inside and os.path.isdir(folder) else None


def require_folder(directory: Path | None, name: str, *, kind: str = "model", param: str = "model") -> Path:
    """:func:`find_folder`, where the hub is not to be asked.

    Raises PermanentError (``model_not_found``, ``dataset_not_found``) that names a few of the folders there are.
    """
    folder = find_folder(directory, name)
    if folder is not None:
        return folder
    if directory is None:
        where = f"no {kind}s directory is configured"
    else:
        names = sorted(entry.name for entry in directory.iterdir() if entry.is_dir()) if directory.is_dir() else []
        listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        where = f"the {kind}s directory has {listed}" if names else f"the {kind}s directory is empty"
    raise PermanentError(
        f"there is no {kind} {name!r}: {where}, and the hub is disabled; add the folder or use another name",
        code=f"{kind}_not_found",
        param=param,
    )
