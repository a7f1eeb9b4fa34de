"""Process that checks the files of one uploaded model, with limits on its memory and time.

Started by :mod:`api.uploads.confined` for :mod:`api.uploads.model_check`. It reads a request from standard input and prints the
answer. It has no connection, no setting and no secret of the API.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from api.uploads.child import set_limits
from api.uploads.model_check import ModelUse, check_use
from pruning.errors import PermanentError
from pruning.processes.exit import run_program


def main() -> None:
    """Read the request, do it, and print the answer."""
    request = json.loads(sys.stdin.buffer.readline())
    set_limits(request["memory_bytes"], request["seconds"])
    try:
        answer = _check(request)
    except MemoryError:
        answer = {"too_large": f"reading the model takes more than {request['memory_bytes']} bytes of memory"}
    sys.stdout.write(json.dumps(answer) + "\n")


def _check(request: dict[str, Any]) -> dict[str, Any]:
    try:
        return asdict(check_use(Path(request["folder"]), ModelUse(**request["use"])))
    except PermanentError as refusal:
        return {"refused": {"message": refusal.message, "code": refusal.code, "param": refusal.param}}


if __name__ == "__main__":
    run_program(main)
