"""The processes that ``espalier serve`` consists of: started on a leash, started again when they die, stopped in peace.

Called by ``serve.py``. Each runs in a session of its own, so that Ctrl-C in a terminal reaches only ``serve``, which then
stops them in its own time; and each ends with ``serve`` even when that is killed (``worker/run/deathsig.py``).
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

_TICK_SECONDS = 0.1
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_HEALTHY_SECONDS = 60.0
"""A child that lived this long starts afresh with the shortest pause."""


@dataclass
class Child:
    """One process to keep alive."""

    name: str
    command: Sequence[str]
    environment: dict[str, str]
    descriptors: tuple[int, ...] = ()
    """File descriptors that it inherits."""
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause: float = _FIRST_PAUSE
    due_at: float = field(default=0.0)
    """When to start it (again), by ``time.monotonic()``."""

    def start(self) -> None:
        """Raises OSError when no process can be had."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "worker.run.deathsig", str(os.getpid()), *self.command],
            env=self.environment,
            pass_fds=self.descriptors,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),  # standard output belongs to serve's own lines
            start_new_session=True,
        )
        self.started_at = time.monotonic()


class Children:
    """All of them. Must be used by the main thread: the leash ends a child with the thread that started it."""

    def __init__(self, children: Sequence[Child], say: Callable[[str], None]) -> None:
        self._children = children
        self._say = say

    def keep(self, stopping: threading.Event, tick: Callable[[], None]) -> None:
        """Start them and keep them running until ``stopping``; ``tick`` is called in between."""
        while not stopping.is_set():
            for child in self._children:
                self._look_after(child)
            tick()
            stopping.wait(_TICK_SECONDS)

    def _look_after(self, child: Child) -> None:
        now = time.monotonic()
        if child.process is None:
            if now >= child.due_at:
                child.start()
            return
        code = child.process.poll()
        if code is None:
            return
        child.process = None
        if now - child.started_at > _HEALTHY_SECONDS:
            child.pause = _FIRST_PAUSE
        child.due_at = now + child.pause
        self._say(f"the {child.name} process ended ({how(code)}); it is started again in {child.pause:g} s")
        child.pause = min(2 * child.pause, _LONGEST_PAUSE)

    def stop(self, seconds: float, hurry: threading.Event) -> None:
        """TERM to all, wait up to ``seconds`` or until ``hurry``, then KILL."""
        running = [child for child in self._children if child.process is not None]
        for child in running:
            self._signal(child, signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while any(_alive(child) for child in running) and time.monotonic() < deadline and not hurry.is_set():
            hurry.wait(_TICK_SECONDS)
        for child in running:
            if _alive(child):
                self._say(f"the {child.name} process did not leave in time and is killed")
                self._signal(child, signal.SIGKILL)
            assert child.process is not None  # noqa: S101 - for the type checker; see ``running``
            child.process.wait()

    @staticmethod
    def _signal(child: Child, number: signal.Signals) -> None:
        if child.process is not None:
            child.process.send_signal(number)  # does nothing once it was reaped


def _alive(child: Child) -> bool:
    return child.process is not None and child.process.poll() is None


def how(code: int) -> str:
    """An exit code as subprocess has it, in words."""
    return f"exit code {code}" if code >= 0 else f"signal {-code}"
