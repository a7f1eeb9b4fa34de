"""The process that predicts: started on demand, spoken with line by line, ended with the API. Called by ``predictor``.

It may load torch, which this process must not. It is given no credentials: it reads files that strangers made. It ends when
its standard input does, so it cannot outlive the API, whatever ends that.
"""

import contextlib
import os
import select
import subprocess
import time
from collections.abc import Mapping
from typing import IO

from pruning.processes.bootstrap import python_command
from service.settings import Settings

_ALLOWED_VARIABLES = frozenset(
    "PATH HOME LANG TZ TMPDIR PYTHONPATH VIRTUAL_ENV LD_LIBRARY_PATH SSL_CERT_FILE XDG_CACHE_HOME HF_HOME HF_HUB_CACHE "
    "HF_HUB_OFFLINE HF_ENDPOINT HTTP_PROXY HTTPS_PROXY NO_PROXY".split()
)
"""What it gets to see of the environment; not the hub's token, and none of this service's settings."""
_READ_BYTES = 1 << 16
_MAX_RESPONSE_BYTES = 64 << 20
_CLOSE_SECONDS = 5.0


class PredictionTimeoutError(Exception):
    """There was no answer in time."""


class ProcessEndedError(Exception):
    """The process ended instead of answering."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}" if code >= 0 else f"signal {-code}")
        self.code = code


def command(settings: Settings) -> list[str]:
    """The arguments of the real program; tests put another one in its place."""
    arguments = python_command(
        "pruning", "serve-predictions", "--masks", str(settings.predictions_masks),
        "--idle-seconds", str(settings.predictions_idle_seconds), "--memory-bytes", str(settings.predictions_memory_bytes),
    )  # fmt: skip
    if settings.models_dir is not None:
        arguments += ["--models-dir", str(settings.models_dir)]
    return arguments if settings.hub_enabled else [*arguments, "--no-hub"]


def environment(given: Mapping[str, str], threads: int | None) -> dict[str, str]:
    """What of the API's environment the process gets; ``threads`` limits its arithmetic."""
    clean = {name: value for name, value in given.items() if name.upper() in _ALLOWED_VARIABLES}
    return clean | ({"OMP_NUM_THREADS": str(threads)} if threads is not None else {})


class PredictionProcess:
    """One running process. Used by one thread at a time."""

    def __init__(self, arguments: list[str], variables: Mapping[str, str]) -> None:
        """Start it. Raises OSError."""
        self._process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=dict(variables),
            start_new_session=True,
            bufsize=0,
        )
        os.set_blocking(self._stdin.fileno(), False)
        self._rest = b""

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    @property
    def _stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None  # noqa: S101 - for the type checker; PIPE was given
        return self._process.stdin

    @property
    def _stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None  # noqa: S101 - for the type checker; PIPE was given
        return self._process.stdout

    def request(self, line: bytes, deadline: float) -> bytes:
        """Its answer to a line, before ``deadline`` by ``time.monotonic()``. Raises PredictionTimeoutError, ProcessEndedError.

        After either it must be ended: what it says next would belong to this question.
        """
        try:
            self._write(line + b"\n", deadline)
        except BrokenPipeError:
            raise ProcessEndedError(self._process.wait()) from None
        return self._read(deadline)

    def close(self) -> None:
        """Close its input, which it leaves by; kill it if that takes long."""
        self._stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_CLOSE_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End it now, if it has not ended, and close what leads to it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._stdin, self._stdout):
            pipe.close()

    def _write(self, data: bytes, deadline: float) -> None:
        view = memoryview(data)
        while view:
            if not select.select([], [self._stdin], [], _remaining(deadline))[1]:
                raise PredictionTimeoutError
            view = view[os.write(self._stdin.fileno(), view) :]

    def _read(self, deadline: float) -> bytes:
        while b"\n" not in self._rest:
            if not select.select([self._stdout], [], [], _remaining(deadline))[0]:
                raise PredictionTimeoutError
            piece = os.read(self._stdout.fileno(), _READ_BYTES)
            self._rest += piece
            if not piece or len(self._rest) > _MAX_RESPONSE_BYTES:
                self._process.kill()  # it closed its output, or has gone mad
                raise ProcessEndedError(self._process.wait())
        line, _, self._rest = self._rest.partition(b"\n")
        return line


def _remaining(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())
