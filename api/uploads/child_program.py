"""Frame of the processes that read uploads: one request from standard input, limits on memory and time, one line of JSON.

Called by the programs that :mod:`api.uploads.confined` starts. They have no connection, no setting and no secret of the API.
"""

import json
import resource
import sys
from collections.abc import Callable
from typing import Any

from pruning.errors import PermanentError


def answer_request(work: Callable[[dict[str, Any]], dict[str, Any]], *, kind: str) -> None:
    """Print what ``work`` makes of the request, or its refusal; ``kind`` is what is read, in words ("data set")."""
    request = json.loads(sys.stdin.buffer.readline())
    _set_limits(request["memory_bytes"], request["seconds"])
    try:
        answer = work(request)
    except PermanentError as refusal:
        answer = {"refused": {"message": refusal.message, "code": refusal.code, "param": refusal.param}}
    except MemoryError:
        answer = {"too_large": f"reading the {kind} takes more than {request['memory_bytes']} bytes of memory"}
    sys.stdout.write(json.dumps(answer) + "\n")


def _set_limits(memory_bytes: int, seconds: int) -> None:
    """Bound this process. Not its address space: libraries map far more of that than they use."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    if sys.platform == "linux":  # elsewhere the limit does not count what is mapped
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
