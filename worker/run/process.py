"""One trainer process: started on a leash in a session of its own, told to stop, killed with all its children.

Called by ``supervise.py``, which decides when. A trainer cannot outlive its worker, for three reasons: the kernel kills it
with the thread that started it (``leash.py``); its standard input, of which the worker holds the other end, closes; and
when that worker is merely frozen, nothing renews the time that it was given there.
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

from pruning.processes.bootstrap import python_command
from service.settings import Settings

_LEASH = Path(__file__).with_name("deathsig.py")


def trainer_command(
    settings: Settings, spec: Path, work: Path, token_file: Path | None = None, exports: Sequence[str] = ()
) -> list[str]:
    """The arguments of the real trainer; tests put another program in its place."""
    command = python_command("pruning", "train", "--spec", str(spec), "--work", str(work), "--watch-stdin")
    if settings.token_cache_bytes:
        command += ["--token-cache", str(settings.data_dir / "tokens")]
        command += ["--token-cache-bytes", str(settings.token_cache_bytes)]
    command += _sources(settings, token_file)
    for name in exports:
        command += ["--export", name]
    return command


def export_command(
    settings: Settings, mask: Path, work: Path, token_file: Path | None = None, exports: Sequence[str] = ()
) -> list[str]:
    """The same of the program that takes the trainer's place where ``mask`` is there already and is to be exported."""
    command = python_command("pruning", "export", "--mask", str(mask), "--out", str(work / "artifacts"))
    command += ["--archive", "--uploads-dir", str(work / "uploads"), "--watch-stdin", *_sources(settings, token_file)]
    for name in exports:
        command += ["--to", name]
    return command


def _sources(settings: Settings, token_file: Path | None) -> list[str]:
    """Where models and data sets are looked up."""
    options: list[str] = []
    if settings.models_dir is not None:
        options += ["--models-dir", str(settings.models_dir)]
    if settings.datasets_dir is not None:
        options += ["--datasets-dir", str(settings.datasets_dir)]
    if not settings.hub_enabled:
        options.append("--no-hub")
    if token_file is not None:
        options += ["--token-file", str(token_file)]
    return options


class TrainerProcess:
    """A running trainer. Leaving the ``with`` block kills whatever is left of it and closes its pipes.

    Raises OSError when the process cannot be started. Must be used by the thread that made it, which must live as long.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], nice: int = 0) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_LEASH), str(os.getpid()), "--nice", str(nice), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            start_new_session=True,
            bufsize=0,
        )
        self._stdin_lock = threading.Lock()
        os.set_blocking(self._stdin.fileno(), False)  # a trainer that does not read must not stop the heartbeat

    @property
    def pid(self) -> int:
        """Of the process, its session and its process group alike."""
        return self._process.pid

    @property
    def _stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None  # noqa: S101 - for the type checker; PIPE was given
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """Its events, unbuffered."""
        assert self._process.stdout is not None  # noqa: S101 - for the type checker; PIPE was given
        return self._process.stdout

    @property
    def stderr(self) -> IO[bytes]:
        """Its words, unbuffered."""
        assert self._process.stderr is not None  # noqa: S101 - for the type checker; PIPE was given
        return self._process.stderr

    def has_exited(self) -> bool:
        """Whether the process has ended. It is not reaped yet, so its group number cannot belong to others."""
        if self._process.returncode is not None:
            return True
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def extend_deadline(self, until: float) -> None:
        """Say until when, by ``time.monotonic()``, the job is this attempt's: should this worker freeze, the trainer leaves by
        itself before another worker may need its device. Any thread may call this."""
        with self._stdin_lock, contextlib.suppress(BlockingIOError, BrokenPipeError):
            if not self._stdin.closed:
                os.write(self._stdin.fileno(), f"{max(0.0, until - time.monotonic()):.3f}\n".encode())

    def terminate(self) -> None:
        """Ask the trainer, and not its helpers, to save its work and leave."""
        if not self.has_exited():
            self._process.send_signal(signal.SIGTERM)
            self._process.send_signal(signal.SIGCONT)  # a stopped process would not hear it

    def kill_group(self) -> None:
        """End the trainer and everything it started, now. Safe as long as the process was not reaped."""
        if self._process.returncode is None:
            os.killpg(self.pid, signal.SIGKILL)

    def reap(self) -> int:
        """Kill what is left of the group; the exit code as subprocess has it."""
        self.kill_group()
        return self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.reap()
        with self._stdin_lock:
            self._stdin.close()
        for pipe in (self.stdout, self.stderr):
            pipe.close()
