"""Prediction process: the child that loads models and masks and answers requests, one JSON line each.

Started on demand by ``api.predictions.service``. It gets no credentials, because it reads files of users. It ends when its
standard input does, so it cannot outlive the API.
"""

import math
import threading
import time
from collections.abc import Mapping, Sequence
from contextvars import Context

from api.child_log import logged_stderr
from pruning.processes.bootstrap import python_command
from pruning.processes.child import ChildProcess, format_exit
from pruning.processes.confinement import child_environment
from pruning.processes.pipe_lines import LineTooLongError, PipeLines
from service.settings import Settings

_MAX_RESPONSE_BYTES = 64 << 20
_CLOSE_SECONDS = 5.0
_REAP_SECONDS = 1.0


class PredictionTimeoutError(Exception):
    """There was no response in time."""


class ProcessEndedError(Exception):
    """The process ended instead of responding."""

    def __init__(self, code: int) -> None:
        super().__init__(format_exit(code))
        self.code = code


def prediction_command(settings: Settings) -> list[str]:
    """The command line of the process; tests put another program in its place."""
    arguments = python_command(
        "pruning",
        "serve-predictions",
        "--masks",
        str(settings.predictions_masks),
        "--idle-seconds",
        str(settings.predictions_idle_seconds),
        "--memory-bytes",
        str(settings.predictions_memory_bytes),
        "--hub-model-bytes",
        str(settings.hub_model_bytes),
    )
    if settings.models_dir is not None:
        arguments += ["--models-dir", str(settings.models_dir)]
    return arguments if settings.hub_enabled else [*arguments, "--no-hub"]


def prediction_environment(variables: Mapping[str, str], threads: int | None) -> dict[str, str]:
    """The environment of the process, from that of the API; ``threads`` limits its arithmetic."""
    return child_environment(variables, {"OMP_NUM_THREADS": threads})


class PredictionProcess:
    """A running prediction process. One thread at a time makes requests; any thread may close it during a request."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start it. Raises OSError."""
        # not bound to the thread that starts it: that is one of a pool, which ends when it has been idle for a while
        with logged_stderr("predictor", Context()) as stderr:  # it outlives the request that starts it
            self._child = ChildProcess(command, environment, stderr=stderr, end_with_thread=False)
        self._lines = PipeLines(self._child.stdout, _MAX_RESPONSE_BYTES)
        self._asked_at: float | None = None
        """Time of the request without a response."""
        self._request_lock = threading.Lock()
        """Held during a request, which uses the pipes."""
        self._wait_lock = threading.Lock()
        """Held while the process is waited for, which one thread at a time can do."""
        threading.Thread(target=self._reap_at_end, name="prediction-reaper", daemon=True).start()

    def _reap_at_end(self) -> None:
        """Wait for a process that exits after idling: otherwise it stays a zombie until the next request."""
        while self.is_alive:
            time.sleep(_REAP_SECONDS)
        self._kill()

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        with self._wait_lock:
            return not self._child.exited()

    def request(self, line: bytes, deadline: float) -> bytes:
        """Its response to ``line``, before ``deadline`` by ``time.monotonic()``.

        Raises PredictionTimeoutError, after which :attr:`busy_seconds` says how long the process has worked on the last request: it
        may continue, and its late response is dropped by the next request. Raises ProcessEndedError, after which it must be
        killed.
        """
        with self._request_lock:
            try:
                if self._asked_at is not None:
                    self._lines.read_line(deadline)  # late responses to earlier requests
                    self._asked_at = None
                self._write(line, deadline)
                response = self._lines.read_line(deadline)
            except TimeoutError:
                raise PredictionTimeoutError from None
            except (BrokenPipeError, EOFError, LineTooLongError) as error:
                raise ProcessEndedError(self._kill()) from error
            self._asked_at = None
            return response

    @property
    def busy_seconds(self) -> float:
        """Seconds that it has worked on a request without a response; 0 where there is none."""
        return 0.0 if self._asked_at is None else time.monotonic() - self._asked_at

    def _write(self, line: bytes, deadline: float) -> None:
        self._asked_at = -math.inf  # half a line is not a request: a process that reads none is hung
        self._child.write(line + b"\n", deadline)
        self._asked_at = time.monotonic()

    def close(self) -> None:
        """Close its standard input, which ends it, or kill it if that takes long. A request in progress fails."""
        self._child.close_stdin()
        with self._wait_lock:
            self._child.wait(_CLOSE_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Kill it, if it still runs, and close the pipes to it."""
        self._kill()
        with self._request_lock:  # a request in progress has failed by now, or does so at once
            self._child.close()

    def _kill(self) -> int:
        with self._wait_lock:
            return self._child.reap()
