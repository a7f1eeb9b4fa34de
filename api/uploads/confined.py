"""Child processes that parse what users uploaded, with limits on memory and time: one request, one line of JSON as the answer.

Called by :mod:`api.uploads.isolation` for data sets and :mod:`api.uploads.model_check` for models. A file that
crashes or takes over a parser reaches a process without connections, settings and secrets, which ends with the request.
"""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from api.child_log import logged_stderr
from pruning.data.files.formats import TooLargeError
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


def run_confined(
    program: str, request: dict[str, Any], limits: ParseLimits, *, kind: str, descriptors: Sequence[int] = ()
) -> dict[str, Any]:
    """The answer of the module ``program`` to ``request``, to which the limits are added; it inherits ``descriptors``.

    Raises TooLargeError, in words on a ``kind`` ("data set"), beyond ``limits`` and for a process that ended without an answer.
    """
    deadline = time.monotonic() + limits.seconds
    request = request | {"memory_bytes": limits.memory_bytes, "seconds": limits.seconds}
    own = {"ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}
    environment = child_environment(os.environ, own, local=True)
    with (
        logged_stderr(program) as stderr,
        ChildProcess(python_command(program), environment, stderr=stderr, descriptors=descriptors) as child,
    ):
        try:
            child.write(json.dumps(request).encode() + b"\n", deadline)
            line = PipeLines(child.stdout, _MAX_ANSWER_BYTES).read_line(deadline)
        except TimeoutError as fault:
            raise TooLargeError(f"reading the {kind} takes more than {limits.seconds} s") from fault
        except (EOFError, BrokenPipeError, LineTooLongError) as fault:  # killed, or a library got no memory
            raise TooLargeError(
                f"the {kind} cannot be read within {limits.memory_bytes} bytes of memory and {limits.seconds} s"
            ) from fault
    answer: dict[str, Any] = json.loads(line)
    if "too_large" in answer:
        raise TooLargeError(answer["too_large"])
    return answer
