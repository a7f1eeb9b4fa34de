"""Exit without the finalization of the interpreter, in which a thread of a library can abort the process.

Called by the programs whose exit code other processes of ours read. CPython before 3.14 ends a thread that asks
for the interpreter during finalization by ``pthread_exit``; where the frames below are C++ or Rust (Arrow's I/O threads, the hub
client's download threads), unwinding them is not allowed and the process ends by SIGABRT, though its work is done. Measured: one
of 37 programs that read a Parquet file last, on a loaded machine.
"""

import atexit
import os
import sys
from collections.abc import Callable
from typing import NoReturn

_FLUSH_FAILED = 120
"""Exit code of CPython for streams that cannot be flushed."""
_INTERRUPTED = 130


def run_program(main: Callable[[], int | None]) -> NoReturn:
    """Run ``main`` and end this process with the exit code that it returns or leaves with.

    Non-daemon threads are waited for, exit handlers are run and both streams are flushed, as usual; objects are not
    destroyed. To be called first of all: handlers registered before it are left out.
    """
    code = 1  # of an exception, which the interpreter prints

    def leave() -> None:
        status = code
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):  # its reader has exited, or it is closed
                status = _FLUSH_FAILED
        os._exit(status)

    atexit.register(leave)  # handlers are run in reverse order: this one is the last
    try:
        code = main() or 0
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
        raise
    except KeyboardInterrupt:
        code = _INTERRUPTED
        raise
    sys.exit(code)
