"""Parsing of data sets in a child process with limits on memory and time, and its answer as a data set or a refusal.

Called by ``api.routes.datasets``.
"""

import io
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, Any, BinaryIO

from api.errors.problems import Fault
from api.uploads.confined import ParseLimits, run_confined
from api.uploads.normalize import SplitFault, SplitFile
from pruning.data.column_statistics import Column
from pruning.data.files.formats import UnknownFormatError


@dataclass(frozen=True)
class NormalizedDataset:
    """All splits of a data set."""

    sha256: str
    """Of split names and rows; the same for every format they were sent in."""
    splits: dict[str, Any]
    """As ``service.db.models.Dataset.splits`` stores them."""
    files: dict[str, IO[bytes]]


class InvalidRowsError(Exception):
    """The rows cannot be used."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(faults[0].detail)
        self.faults = faults


@contextmanager
def normalize_splits(
    uploads: Mapping[str, SplitFile], max_bytes: int, limits: ParseLimits | None = None
) -> Iterator[NormalizedDataset]:
    """The data set whose splits are ``uploads``; its files are removed after the block.

    Raises InvalidRowsError with all that is wrong; UnknownFormatError; TooLargeError beyond ``max_bytes`` in all and beyond
    ``limits``; OSError.
    """
    with ExitStack() as stack:
        files: dict[str, IO[bytes]] = {name: stack.enter_context(tempfile.TemporaryFile()) for name in uploads}
        inputs = {name: _descriptor(stack, upload.file) for name, upload in uploads.items()}
        splits = {
            name: {"format": upload.format, "input": inputs[name], "output": files[name].fileno()}
            for name, upload in uploads.items()
        }
        request = {"splits": splits, "max_bytes": max_bytes}
        descriptors = [*inputs.values(), *(file.fileno() for file in files.values())]
        answer = run_confined("api.uploads.child", request, limits or ParseLimits(), kind="data set", descriptors=descriptors)
        if "unknown_format" in answer:
            raise UnknownFormatError(answer["unknown_format"])
        if "os_error" in answer:
            raise OSError(*answer["os_error"])
        if "faults" in answer:
            raise InvalidRowsError([_fault(SplitFault(**fault)) for fault in answer["faults"]])
        yield NormalizedDataset(answer["sha256"], answer["splits"], files)


def columns_of(split: Mapping[str, Any]) -> list[Column]:
    """The columns of a split that ``service.db.models.Dataset.splits`` stores."""
    return [Column.model_validate(column) for column in split["columns"]]


def _descriptor(stack: ExitStack, file: BinaryIO) -> int:
    """Number of a file on disk with the content of ``file``, at its start."""
    try:
        number = file.fileno()  # writes an upload to disk that was small enough for memory
    except io.UnsupportedOperation:
        copy = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - it is: the block of the caller closes it
        file.seek(0)
        shutil.copyfileobj(file, copy)
        copy.flush()
        number = copy.fileno()
    else:
        file.flush()
    os.lseek(number, 0, os.SEEK_SET)
    return number


def _fault(fault: SplitFault) -> Fault:
    row = fault.rows[0] if fault.rows else None
    return Fault(code=fault.code, detail=fault.message(), parameter=fault.split, row=row)
