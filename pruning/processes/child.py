"""Child process with bounded life: own session, killed with its parent, ended with everything that it started.

Called by the worker for trainers, by a trainer for its exports, by the API for predictions and by ``espalier serve`` for the
API and the worker. The caller decides when to end a child; this module implements how.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from pruning.processes.pipe_lines import wait_ready

_LAUNCHER = Path(__file__).with_name("parent_watchdog.py")
_LONGEST_PAUSE = 0.05
"""Seconds between two polls of a process that is waited for."""


class ChildProcess:
    """A running program. Leaving the ``with`` block kills what is left of it and closes its pipes.

    It is not reaped before :meth:`reap`, :meth:`wait` or :meth:`close`, so that its number and that of its group cannot belong
    to others while signals are sent there. Used by one thread at a time, :meth:`write_now` excepted.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        stdin: int = subprocess.PIPE,
        stdout: int | None = subprocess.PIPE,
        stderr: int | None = None,
        descriptors: Sequence[int] = (),
        nice: int = 0,
        user: tuple[int, int] | None = None,
        own_session: bool = True,
        end_with_thread: bool = True,
    ) -> None:
        """Start ``command``; ``stdin``, ``stdout`` and ``stderr`` are what ``subprocess`` takes. Raises OSError.

        ``descriptors`` are inherited. With ``own_session`` the child leads a session and a process group, which a Ctrl-C in
        a terminal does not reach and which :meth:`kill` ends as a whole. With ``end_with_thread`` the kernel kills it when
        the *thread* that starts it ends (Linux), so that one must live as long; ``nice``, which makes it give way to others
        on the same cores, needs it. So does ``user``, numbers of the user and the group that the child is: its folder is
        then ``/``, and what it writes its group may change. The kernel allows that to root and to holders of
        ``user_switch.SWITCHING``; without, the child ends at once with code 127.
        """
        if (nice or user) and not end_with_thread:
            raise ValueError("nice and user need end_with_thread: the launcher sets all three")
        switch = "-" if user is None else f"{user[0]}:{user[1]}"
        options = [str(os.getpid()), str(nice), switch]
        launcher = [sys.executable, "-I", "-S", str(_LAUNCHER), *options] if end_with_thread else []
        self._process = subprocess.Popen(
            [*launcher, *command],
            env=None if environment is None else dict(environment),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=tuple(descriptors),
            start_new_session=own_session,
            bufsize=0,
        )
        self._own_session = own_session
        self._stdin_lock = threading.Lock()
        self.started_at = time.monotonic()
        if self._process.stdin is not None:  # a child that does not read must not block its parent
            os.set_blocking(self._process.stdin.fileno(), False)

    @property
    def pid(self) -> int:
        """Id of the process; with a session of its own, also of that session and of its process group."""
        return self._process.pid

    @property
    def stdout(self) -> IO[bytes]:
        """Its output, unbuffered, where that is a pipe."""
        assert self._process.stdout is not None, "standard output is not a pipe"  # noqa: S101 - the caller's mistake
        return self._process.stdout

    @property
    def stderr(self) -> IO[bytes]:
        """Its errors, unbuffered, where they are a pipe."""
        assert self._process.stderr is not None, "standard error is not a pipe"  # noqa: S101 - the caller's mistake
        return self._process.stderr

    def write_now(self, data: bytes) -> None:
        """Write what fits to its standard input, or nothing when that is full or closed. Any thread may call this."""
        with self._stdin_lock, contextlib.suppress(BlockingIOError, BrokenPipeError):
            if self._process.stdin is not None and not self._process.stdin.closed:
                os.write(self._process.stdin.fileno(), data)

    def write(self, data: bytes, deadline: float) -> None:
        """Write all of ``data`` before ``deadline`` by ``time.monotonic()``. Raises TimeoutError, BrokenPipeError."""
        assert self._process.stdin is not None, "standard input is not a pipe"  # noqa: S101 - the caller's mistake
        descriptor, view = self._process.stdin.fileno(), memoryview(data)
        while view:
            if not wait_ready(descriptor, max(0.0, deadline - time.monotonic()), to_write=True):
                raise TimeoutError
            with contextlib.suppress(BlockingIOError):
                view = view[os.write(descriptor, view) :]

    def close_stdin(self) -> None:
        """End its standard input, which asks some programs to leave."""
        with self._stdin_lock:
            if self._process.stdin is not None:
                self._process.stdin.close()

    def exited(self) -> bool:
        """Whether the process has ended, reaped or not."""
        return self._process.returncode is not None or self._ended(os.WNOHANG)

    def terminate(self) -> None:
        """SIGTERM to the process alone, not to what it started."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)  # a stopped process would not receive it

    def kill(self) -> None:
        """SIGKILL to the process and, where it has a session of its own, to everything in its process group."""
        if self._process.returncode is not None:
            return
        if self._own_session:
            with contextlib.suppress(PermissionError):  # macOS, where the group consists of the ended process alone
                os.killpg(self.pid, signal.SIGKILL)
        else:
            self._signal(signal.SIGKILL)

    def wait(self, seconds: float | None = None) -> int | None:
        """Wait for its end, then :meth:`reap`: the exit code, or None when it still runs after ``seconds``."""
        if self._process.returncode is None:
            if seconds is None:
                self._ended(0)
            elif not self._ends_within(seconds):
                return None
        return self.reap()

    def reap(self) -> int:
        """Kill what is left of it; the exit code, negative for a signal."""
        self.kill()
        return self._process.wait()

    def close(self) -> int:
        """:meth:`reap`, and close the pipes to it."""
        code = self.reap()
        self.close_stdin()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _ended(self, options: int) -> bool:
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | options) is not None

    def _ends_within(self, seconds: float) -> bool:
        deadline, pause = time.monotonic() + seconds, 0.001
        while not self._ended(os.WNOHANG):
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE)
        return True

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:  # not Popen.send_signal, which may reap it and give its group number away
            os.kill(self.pid, number)


def format_exit(code: int) -> str:
    """Description of an exit code: ``exit code 1`` or ``signal 9``."""
    return f"exit code {code}" if code >= 0 else f"signal {-code}"
