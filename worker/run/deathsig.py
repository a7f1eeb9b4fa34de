"""Ties a program's life to its parent's: ``python leash.py PARENT_PID [--nice N] PROGRAM ARGUMENT…``

The kernel kills the program when the thread that started it ends, be it by ``kill -9``. A launcher instead of a
``preexec_fn``, which is not safe in a process with threads; it becomes the program (exec), so it costs one short
interpreter start and no process. Used for trainers by the worker, and for the API and the worker by ``espalier serve``.
Where the kernel has no such call (anything but Linux) the program is started all the same; trainers end there through
the end of their standard input. ``--nice`` makes the program give way to others on the same cores.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Exits with 1 when the parent is gone already, 127 when the program cannot be started."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if program[0] == "--nice":
        os.nice(int(program[1]))
        program = program[2:]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
        if os.getppid() != parent:  # it died before the call above could notice
            sys.exit(1)
    try:
        os.execvp(program[0], program)  # noqa: S606 - an argument list, no shell
    except OSError as error:
        sys.stderr.write(f"cannot start {program[0]}: {error}\n")
        sys.exit(127)


if __name__ == "__main__":
    main()
