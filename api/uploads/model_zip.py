"""Zip of a model's folder, unpacked to temporary files within limits. Called by ``api.uploads.model_form``.

Refused before anything is unpacked: a list of files that is too long to be read, names that lead out of the folder or are there
twice, links, encrypted files, sizes above the limit. Bytes are counted during
unpacking; the size in an entry is not trusted.
"""

import os
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import PurePosixPath
from typing import IO

from pruning.errors import PermanentError

_PIECE_BYTES = 1024**2
_LIST_BYTES = 1024**2
"""Most of the list of files at the end of a zip, which the library reads whole."""
_END, _END64, _LOCATOR64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_END_BYTES, _LOCATOR_BYTES, _END64_BYTES, _COMMENT_BYTES = 22, 20, 56, 65_535


def unpack(
    file: IO[bytes], stack: ExitStack, *, max_bytes: int, max_files: int, check_name: Callable[[str], None]
) -> dict[str, tuple[IO[bytes], int]]:
    """Files and sizes by name, without the one folder that they may be in.

    ``check_name`` may refuse a name. Raises PermanentError (``model_files_invalid``), OSError.
    """
    _require_short_list(file, max_files)
    try:
        with zipfile.ZipFile(file) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            names = _flat_names([entry.filename for entry in entries])
            for entry, name in zip(entries, names, strict=True):
                _check_entry(entry, name)
                check_name(name)
            if len(set(names)) < len(names):
                raise _invalid("has a file twice; keep one of them")
            if (total := sum(entry.file_size for entry in entries)) > max_bytes:
                raise _invalid(f"unpacks to {total} bytes; a model may have {max_bytes}")
            return {
                name: (_unpack_entry(archive, entry, stack), entry.file_size) for entry, name in zip(entries, names, strict=True)
            }
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error, ValueError) as fault:
        raise _invalid(f"cannot be read: {fault}; pack the folder again") from fault


def _require_short_list(file: IO[bytes], max_files: int) -> None:
    size = file.seek(0, os.SEEK_END)
    start = max(0, size - _END_BYTES - _COMMENT_BYTES - _LOCATOR_BYTES)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_BYTES:
        raise _invalid("is no zip; pack the folder again")
    count, length = struct.unpack_from("<HL", tail, at + 10)
    locator = at - _LOCATOR_BYTES
    if locator >= 0 and tail[locator : locator + 4] == _LOCATOR64:  # a zip of more than 4 GiB
        (offset,) = struct.unpack_from("<Q", tail, locator + 8)
        if offset > size:
            raise _invalid("is cut off; pack the folder again")
        file.seek(offset)
        end = file.read(_END64_BYTES)
        if len(end) < _END64_BYTES or not end.startswith(_END64):
            raise _invalid("is damaged; pack the folder again")
        count, length = struct.unpack_from("<QQ", end, 32)
    if count > 2 * max_files or length > _LIST_BYTES:  # folders are entries, too
        raise _invalid(f"has {count} entries; a model may have {max_files} files")
    file.seek(0)


def _flat_names(names: Sequence[str]) -> list[str]:
    """The names without the one folder that all of them are in."""
    folders = {name.partition("/")[0] if "/" in name else "" for name in names}
    return [name.partition("/")[2] for name in names] if len(folders) == 1 and folders != {""} else list(names)


def _check_entry(entry: zipfile.ZipInfo, name: str) -> None:
    shown = entry.filename[:100]
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not name:
        raise _invalid(f"has a name that leads out of its folder, {shown!r}; pack the folder again")
    mode = entry.external_attr >> 16
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise _invalid(f"has {shown!r}, which is a link and no file; pack the files themselves")
    if entry.flag_bits & 1:
        raise _invalid(f"has {shown!r}, which is encrypted; pack the folder without a password")


def _unpack_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, stack: ExitStack) -> IO[bytes]:
    target = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - it is: the block of the caller closes it
    left = entry.file_size
    with archive.open(entry) as source:
        while data := source.read(min(_PIECE_BYTES, left + 1)):
            left -= len(data)
            if left < 0:
                raise _invalid(f"has {entry.filename[:100]!r}, which is larger than it says; pack the folder again")
            target.write(data)
    if left:
        raise _invalid(f"has {entry.filename[:100]!r}, which is smaller than it says; pack the folder again")
    return target


def _invalid(detail: str) -> PermanentError:
    return PermanentError(f"the zip {detail}", code="model_files_invalid", param="file")
