"""Faults of the fake trainer: the behaviours that end badly, report what cannot be stored, or do not end.

Called by name by :mod:`tests.worker.fake_trainer`.
"""

import ctypes
import os
import resource
import signal
import subprocess
import sys

from pruning.events import ErrorEvent, EvaluationEvent, ExitCode, LogEvent, StartedEvent, StepEvent
from tests.worker.fake_reports import JOB, WORK, emit, exit_now, finish, never, store, success


def garbage() -> None:
    sys.stdout.buffer.write(b'Downloading: 10%\r\n\x00\xff\xfe\n{"event": "dance"}\n\n' + b"x" * 3_000_000 + b"\n")
    print("a warning of some library", file=sys.stderr)
    sys.stderr.buffer.write(b"noise\n" * 50_000 + b"the end of it \x00\xff\n")
    sys.stderr.flush()
    success()


def permanent() -> None:
    emit(ErrorEvent(kind="permanent", code="model_head_missing", message="no head; take another", param="model"))
    exit_now(ExitCode.PERMANENT)


def temporary() -> None:
    emit(ErrorEvent(kind="temporary", code="hub_unreachable", message="the hub does not answer"))
    exit_now(ExitCode.TEMPORARY)


def bug() -> None:
    raise RuntimeError("a bug of the trainer")


def repeats_token() -> None:
    """Emits what it found in its token file on every channel, and crashes with it."""
    file = WORK / "hub-token"
    token = file.read_text() if file.exists() else "no token"
    emit(LogEvent(message=f"using {token}"))
    print(f"library: Authorization: Bearer {token}", flush=True)
    raise RuntimeError(f"{token} was refused, mode {file.stat().st_mode & 0o777 if file.exists() else 0:o}")


def step_out_of_range() -> None:
    """No database stores the number."""
    values = {"epoch": 1.0, "loss": 1.0, "regularizer": 0.0, "remaining": 0.5, "learning_rate": 0.1, "grad_norm": 1.0}
    emit(StepEvent(step=2**70, total_steps=2**70, rows_per_second=1.0, eta_seconds=1.0, **values))
    never.wait()


def evaluation_out_of_range() -> None:
    """The same in another report."""
    emit(EvaluationEvent(step=2**70, stage="during", remaining=0.5, metrics={"accuracy": 0.5}))
    never.wait()


def total_out_of_range() -> None:
    """More steps than 64 bits count."""
    emit(
        StartedEvent(
            total_steps=2**70,
            model_revision=None,
            base_digest="0" * 64,
            matrices=2,
            masked_weights=64,
            train_rows=8,
            validation_rows=4,
            device="cpu",
            versions={},
        )
    )
    never.wait()


def segfault() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.string_at(0)


def stumbles() -> None:
    """Does all of its work, and crashes on the way out."""
    success()
    segfault()


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hang() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], stdin=subprocess.DEVNULL)
    never.wait()


def deaf() -> None:
    """Ignores signals and the end of its input."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (JOB / "deaf").write_text(str(os.getpid()))
    never.wait()


def no_mask() -> None:
    store("report.json", b"{}")
    finish()


def no_finish() -> None:
    store()


def stores_much() -> None:
    """Its artifact takes a while to be stored."""
    store("export-csr.zip", bytes(200 * 1024 * 1024))
    never.wait()


def chatters() -> None:
    """A message of 50 kB again and again, and one that is larger than any may be."""
    emit(LogEvent(message="y" * 900_000))
    for _ in range(40):
        emit(LogEvent(message="x" * 50_000))
    success()


def many_metrics() -> None:
    emit(EvaluationEvent(step=1, stage="during", remaining=0.5, metrics={f"metric_{n}": 0.5 for n in range(10_000)}))
    never.wait()


def lies() -> None:
    store(digest="0" * 64)
    finish()


def no_figures() -> None:
    store("export-csr.zip")
    finish()
