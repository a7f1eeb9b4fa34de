"""Parent-death handling: a process that ends with its parent, by PR_SET_PDEATHSIG or by the end of standard input.

Called by programs that must not outlive the process that started them. Run as a script, it is a launcher::

    python parent_watchdog.py PARENT_PID NICE USER PROGRAM ARGUMENT…

It asks the kernel to kill the program with the thread that started it, and becomes the program (exec). USER is ``-``, or numbers
``user:group`` that it becomes before that. A launcher instead of
a ``preexec_fn``, which is not safe in a process with threads; it costs one short interpreter start and no process.
:class:`pruning.processes.child.ChildProcess` uses it.
"""

import contextlib
import ctypes
import os
import resource
import runpy
import select
import signal
import sys
import time
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
_USER_SWITCH = os.path.join(os.path.dirname(__file__), "user_switch.py")
_GROUP_WRITES = 0o007
"""Umask of a child of another user: the user who started it reads and removes its files, as a member of its group."""


def set_pdeathsig(parent: int) -> None:
    """Have the kernel kill this process when the thread of ``parent`` that started it ends, even by ``kill -9``.

    Does nothing where the kernel has no such call (anything but Linux); :func:`exit_with_parent` works there too. Raises
    ProcessLookupError when ``parent`` has ended already; OSError.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # it ended before the call above took effect
        raise ProcessLookupError(f"the parent process {parent} has ended")


def exit_with_parent(code: int) -> NoReturn:
    """Wait until standard input ends, of which the parent holds the other end, then exit with ``code``. Run it in a thread.

    A number that the parent writes is the seconds within which it will write again: a parent that is frozen loses its job
    to another machine, which may need this one's device. The exit is immediate and cleans nothing up, for the same reason.
    """
    deadline: float | None = None
    while True:
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        if not select.select([0], [], [], timeout)[0]:
            break
        data = os.read(0, 4096)  # not sys.stdin: its lock, held by this thread, would abort the interpreter's own exit
        if not data:
            break
        with contextlib.suppress(ValueError, IndexError):
            deadline = time.monotonic() + float(data.split()[-1])
    os._exit(code)


def main() -> NoReturn:
    """The launcher. Exits with 1 when the parent has ended, with 127 when the program cannot be started."""
    parent, nice, user, program = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]
    os.nice(nice)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would contain rows and tokens
    try:
        if user != "-":
            _become(user)
        set_pdeathsig(parent)  # after the change of user, which would reset it
    except ProcessLookupError:
        sys.exit(1)
    try:
        os.execvp(program[0], program)  # noqa: S606 - an argument list, no shell
    except OSError as error:
        sys.stderr.write(f"cannot start {program[0]}: {error}\n")
        sys.exit(127)


def _become(user: str) -> None:
    become_user = runpy.run_path(_USER_SWITCH)["become_user"]  # no package of ours can be imported here
    try:
        become_user(*map(int, user.split(":")))
    except OSError as error:
        sys.stderr.write(f"cannot become user {user}: {error}\n")
        sys.exit(127)
    os.umask(_GROUP_WRITES)
    os.chdir("/")  # the parent's folder may be closed to this user


if __name__ == "__main__":
    main()
