"""Process manager of ``espalier serve``: starts the API and the worker, restarts them when they end, stops both together.

Called by ``serve``. Each child has a session of its own, so that Ctrl-C in a terminal reaches only ``serve``, which then stops
them in order; and each ends with ``serve``, even when that is killed (:mod:`pruning.processes.parent_watchdog`).
"""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pruning.processes.child import ChildProcess, format_exit

_TICK_SECONDS = 0.1
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
"""Seconds before a child that ended is restarted; the pause doubles each time."""
_HEALTHY_SECONDS = 60.0
"""A child that ran this long restarts with the shortest pause."""


@dataclass
class ManagedProcess:
    """A program to keep running, and when it is due to start again."""

    name: str
    command: Sequence[str]
    environment: dict[str, str]
    descriptors: tuple[int, ...] = ()
    """File descriptors that it inherits."""
    process: ChildProcess | None = None
    pause: float = _FIRST_PAUSE
    due_at: float = 0.0
    """When to start it (again), by ``time.monotonic()``."""

    def start(self) -> None:
        """Raises OSError when no process can be started."""
        self.process = ChildProcess(
            self.command,
            self.environment,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),  # standard output is reserved for the lines of serve
            descriptors=self.descriptors,
        )


class ProcessManager:
    """Keeps all of them running. Used by the main thread: the kernel ends a child with the thread that started it."""

    def __init__(self, services: Sequence[ManagedProcess], notify: Callable[[str], None]) -> None:
        """``notify`` prints a line for the user."""
        self._services = services
        self._notify = notify

    def run(self, stopping: threading.Event, tick: Callable[[], None]) -> None:
        """Start the services and keep them running until ``stopping``; ``tick`` is called in between."""
        while not stopping.is_set():
            for service in self._services:
                self._start_or_restart(service)
            tick()
            stopping.wait(_TICK_SECONDS)

    def _start_or_restart(self, service: ManagedProcess) -> None:
        now = time.monotonic()
        if service.process is None:
            if now >= service.due_at:
                service.start()
            return
        if not service.process.exited():
            return
        code, lived = service.process.close(), now - service.process.started_at
        service.process = None
        if lived > _HEALTHY_SECONDS:
            service.pause = _FIRST_PAUSE
        service.due_at = now + service.pause
        self._notify(f"the {service.name} process ended ({format_exit(code)}); it is started again in {service.pause:g} s")
        service.pause = min(2 * service.pause, _LONGEST_PAUSE)

    def stop(self, seconds: float, hurry: threading.Event) -> None:
        """TERM to all, wait up to ``seconds`` or until ``hurry``, then KILL."""
        running = [(service.name, service.process) for service in self._services if service.process is not None]
        for _, process in running:
            process.terminate()
        deadline = time.monotonic() + seconds
        while not all(process.exited() for _, process in running) and time.monotonic() < deadline and not hurry.is_set():
            hurry.wait(_TICK_SECONDS)
        for name, process in running:
            if not process.exited():
                self._notify(f"the {name} process did not exit in time and is killed")
            process.close()
