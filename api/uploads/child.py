"""Process that parses one upload, with limits on its memory and time: a file of some kilobytes may unpack to gigabytes.

Started by :mod:`api.uploads.confined` for :mod:`api.uploads.isolation`, which passes open files by their numbers. It reads a
request from standard input and prints the answer. It has no connection, no setting and no secret of the API.
"""

import json
import os
import resource
import sys
from typing import Any

from api.uploads.normalize import SplitFile, normalize_files
from pruning.data.files.formats import FileFormat, TooLargeError, UnknownFormatError
from pruning.processes.exit import run_program


def main() -> None:
    """Read the request from standard input, do it, and print the answer."""
    request = json.loads(sys.stdin.buffer.readline())
    set_limits(request["memory_bytes"], request["seconds"])
    try:
        answer = _normalize(request)
    except MemoryError:
        answer = {"too_large": f"reading the data set takes more than {request['memory_bytes']} bytes of memory"}
    sys.stdout.write(json.dumps(answer) + "\n")


def set_limits(memory_bytes: int, seconds: int) -> None:
    """Bound this process. Not its address space: libraries map far more of that than they use."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    if sys.platform == "linux":  # elsewhere the limit does not count what is mapped
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))


def _normalize(request: dict[str, Any]) -> dict[str, Any]:
    uploads = {
        name: SplitFile(FileFormat(split["format"]), os.fdopen(split["input"], "rb")) for name, split in request["splits"].items()
    }
    outputs = {name: os.fdopen(split["output"], "r+b") for name, split in request["splits"].items()}
    try:
        return normalize_files(uploads, outputs, request["max_bytes"])
    except TooLargeError as fault:
        return {"too_large": str(fault)}
    except UnknownFormatError as fault:
        return {"unknown_format": str(fault)}
    except OSError as fault:
        return {"os_error": [fault.errno, os.strerror(fault.errno or 0)]}


if __name__ == "__main__":
    run_program(main)
