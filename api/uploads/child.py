"""Process that parses one upload, with limits on its memory and time: a file of some kilobytes may unpack to gigabytes.

Started by :mod:`api.uploads.confined` for :mod:`api.uploads.isolation`, which passes open files by their numbers.
"""

import os
from typing import Any

from api.uploads.child_program import answer_request
from api.uploads.normalize import SplitFile, normalize_files
from pruning.data.files.formats import FileFormat, TooLargeError, UnknownFormatError
from pruning.processes.exit import run_program


def main() -> None:
    """Read the request from standard input, do it, and print the answer."""
    answer_request(_normalize, kind="data set")


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
