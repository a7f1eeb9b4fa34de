"""Atomic and verified file writes: a file or folder is complete and correct under its name, or absent.

Called for every mask, export, report and download that is written. Standard library only.
"""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


class CorruptDownloadError(OSError):
    """Bytes that arrived are not those that were stored: another size, or another SHA-256."""


@contextmanager
def atomic_write(path: Path, prefix: str | None = None, *, mode: int = 0o644) -> Iterator[Path]:
    """A temporary file in the folder of ``path`` to write to; it takes the name once it is on disk, or is removed. Raises OSError.

    The temporary name begins with ``prefix``, by default a dot and the name: a later process recognises by it the files that a
    killed one left. ``mode`` is that of the complete file.
    """
    prefix = f".{path.name}." if prefix is None else prefix
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=prefix, delete=False) as temporary:
        name = Path(temporary.name)
    try:
        yield name
        with name.open("rb") as written:
            os.fsync(written.fileno())
        name.chmod(mode)  # temporary files are private, a mask is not
        name.replace(path)
    except BaseException:
        name.unlink()
        raise


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, lower-case hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_verified(chunks: Iterable[bytes], path: Path, *, sha256: str, size: int | None = None, prefix: str | None = None) -> None:
    """Write ``chunks`` to ``path`` by :func:`atomic_write`, unless their SHA-256 or their size in bytes is another.

    Raises CorruptDownloadError, whose message names ``path``; OSError; what ``chunks`` raises.
    """
    digest, written = hashlib.sha256(), 0
    with atomic_write(path, prefix) as draft:
        with draft.open("wb") as file:
            for chunk in chunks:
                digest.update(chunk)
                written += file.write(chunk)
        if digest.hexdigest() != sha256 or (size is not None and written != size):
            raise CorruptDownloadError(f"{path.name} arrived damaged")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder next to ``path`` to write into; it takes the name when the block ends, or is removed.

    Raises OSError as :func:`require_new_folder` does, before the block is entered.
    """
    draft = _draft_of(path)
    try:
        yield draft
        draft.chmod(0o755)  # temporary folders are private
        draft.replace(path)  # also where an empty folder is
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def require_new_folder(path: Path) -> None:
    """Refuse a folder that could not be written later: for commands that would otherwise find out after a minute of work.

    Raises OSError: FileExistsError for a file or a folder that is not empty, NotADirectoryError, PermissionError, ...
    """
    _draft_of(path).rmdir()


def _draft_of(path: Path) -> Path:
    if path.is_dir() and any(path.iterdir()):
        raise FileExistsError(errno.EEXIST, "exists already and is not empty", str(path))
    if path.exists() and not path.is_dir():
        raise FileExistsError(errno.EEXIST, "exists already and is not a folder", str(path))
    parent = path.absolute().parent
    if file := next((above for above in (parent, *parent.parents) if above.exists() and not above.is_dir()), None):
        raise NotADirectoryError(errno.ENOTDIR, f"{file.name} is not a folder", str(path))
    parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=parent, prefix=f".{path.name}."))
