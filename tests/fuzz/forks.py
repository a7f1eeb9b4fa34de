"""Children forked from a warm process: each runs one function within limits of memory and time.

Called by :mod:`tests.fuzz.__main__`. Importing torch and transformers takes seconds, a fork some milliseconds.
"""

import contextlib
import os
import resource
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

MEMORY_BYTES = 6 * 1024**3


@dataclass(frozen=True)
class Ended:
    """How a child ended."""

    number: int
    signal: int
    """0: by itself."""
    hung: bool


def run_forked(numbers: Iterable[int], work: Callable[[int], None], *, processes: int, seconds: float) -> Iterator[Ended]:
    """Run ``work`` of each number in a child of its own, several at a time, each for at most ``seconds``."""
    waiting, running = iter(numbers), dict[int, tuple[int, float]]()
    more = True
    while more or running:
        while more and len(running) < processes:
            number = next(waiting, None)
            if number is None:
                more = False
                break
            running[_fork(work, number)] = number, time.monotonic() + seconds
        for pid, (number, deadline) in list(running.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            hung = not ended and time.monotonic() > deadline
            if hung:
                os.killpg(pid, signal.SIGKILL)
                _, status = os.waitpid(pid, 0)
            if ended or hung:
                del running[pid]
                with contextlib.suppress(ProcessLookupError):  # what it started
                    os.killpg(pid, signal.SIGKILL)
                yield Ended(number, os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, hung)
        time.sleep(0.005)


def _fork(work: Callable[[int], None], number: int) -> int:
    pid = os.fork()
    if pid:
        with contextlib.suppress(OSError):  # the child does it as well; the first one counts
            os.setpgid(pid, pid)
        return pid
    code = 1
    try:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
        work(number)
        code = 0
    finally:
        os._exit(code)
