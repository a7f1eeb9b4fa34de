"""Parsing of uploads in a child process with limits on memory and time, and its answer as a data set or a refusal.

Called by ``api.routes.datasets``. Whatever a file does to the parser happens to a process that has nothing and ends with the
request.
"""

import io
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, Any, BinaryIO

from api.errors.problems import Fault
from api.uploads.normalize import SplitFault, SplitFile
from pruning.data.column_statistics import Column
from pruning.data.files.formats import TooLargeError, UnknownFormatError
from pruning.processes.bootstrap import python_command
from pruning.processes.child import ChildProcess
from pruning.processes.confinement import child_environment
from pruning.processes.pipe_lines import LineTooLongError, PipeLines

_MAX_ANSWER_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class ParseLimits:
    """Of the process that parses an upload."""

    memory_bytes: int = 1024**3
    seconds: int = 600


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
        answer = _run_child(splits, max_bytes, limits or ParseLimits())
        if "too_large" in answer:
            raise TooLargeError(answer["too_large"])
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


def _run_child(splits: dict[str, Any], max_bytes: int, limits: ParseLimits) -> dict[str, Any]:
    deadline = time.monotonic() + limits.seconds
    request = {"splits": splits, "max_bytes": max_bytes, "memory_bytes": limits.memory_bytes, "seconds": limits.seconds}
    own = {"ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}
    environment = child_environment(os.environ, own, local=True)
    descriptors = [number for split in splits.values() for number in (split["input"], split["output"])]
    with ChildProcess(python_command("api.uploads.child"), environment, descriptors=descriptors) as child:
        try:
            child.write(json.dumps(request).encode() + b"\n", deadline)
            line = PipeLines(child.stdout, _MAX_ANSWER_BYTES).read_line(deadline)
        except TimeoutError as fault:
            raise TooLargeError(f"reading the data set takes more than {limits.seconds} s") from fault
        except (
            EOFError,
            BrokenPipeError,
            LineTooLongError,
        ) as fault:  # killed, or stopped by a library that got no memory
            raise TooLargeError(
                f"the data set cannot be read within {limits.memory_bytes} bytes of memory and {limits.seconds} s"
            ) from fault
    answer: dict[str, Any] = json.loads(line)
    return answer


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
