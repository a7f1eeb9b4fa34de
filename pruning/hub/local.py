"""Lookup of models and data sets by name in local directories, without leaving them.

Called by the API before a job is accepted, and by the trainer before the hub is asked. Torch-free and without the hub's client.
"""

import difflib
import os
import re
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


def is_uploaded(name: str) -> bool:
    """Whether a model's name is the id of one that was uploaded to a service."""
    return re.fullmatch("mdl_[0-9a-f]{32}", name) is not None


def folder_names(directory: Path | None) -> list[str]:
    """Names of the folders under ``directory``, sorted; of organisations those of their models."""
    if directory is None or not directory.is_dir():
        return []
    names = []
    for folder in sorted(entry for entry in directory.iterdir() if entry.is_dir() and not entry.name.startswith(".")):
        inner = [] if (folder / "config.json").is_file() else [e.name for e in sorted(folder.iterdir()) if e.is_dir()]
        names += [folder.name, *(f"{folder.name}/{name}" for name in inner)]
    return names


def model_folders(directory: Path | None) -> list[tuple[str, Path]]:
    """Name and folder of each model under ``directory``, sorted by name: folders with a ``config.json``."""
    found = ((name, find_folder(directory, name)) for name in folder_names(directory))
    return [(name, folder) for name, folder in found if folder is not None and (folder / "config.json").is_file()]


def similar_name(directory: Path | None, name: str) -> str | None:
    """The folder under ``directory`` whose name is closest to ``name``; None where none is similar."""
    found = difflib.get_close_matches(name, folder_names(directory), n=1, cutoff=0.75)
    return found[0] if found else None


def is_one_slip(name: str, meant: str) -> bool:
    """Whether the names differ by one letter that is wrong, missing or too many, or by two neighbours in the wrong order."""
    pairs = enumerate(zip(name, meant, strict=False))
    start = next((i for i, (ours, theirs) in pairs if ours != theirs), min(len(name), len(meant)))
    one, other = name[start:], meant[start:]
    swapped = one[:2] == other[1::-1] and one[2:] == other[2:] and len(one) > 1
    return name != meant and (one[1:] == other[1:] or one[1:] == other or one == other[1:] or swapped)


def did_you_mean(directory: Path | None, name: str) -> str:
    """Suggestion of a folder with a name similar to ``name``, to append to a message; empty where there is none."""
    meant = similar_name(directory, name)
    return "" if meant is None else f'; did you mean "{meant}"?'


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
        f"there is no {kind} {name!r}: {where}, and the hub is disabled; add the folder or use another name"
        + did_you_mean(directory, name),
        code=f"{kind}_not_found",
        param=param,
    )
