"""A trainer of a few lines: speaks ``pruning/events.py``, trains nothing, and ends as it is told to.

    python -m tests.worker.fake_trainer.py WORK BEHAVIOUR

It writes ``started`` into the work folder once it is up, and leaves like the real one: 80 on SIGTERM, and when its
standard input ends.
"""

import ctypes
import hashlib
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

from pruning.events import (
    ArtifactEvent,
    CheckpointEvent,
    ErrorEvent,
    EvaluationEvent,
    Event,
    ExitCode,
    FinishedEvent,
    LogEvent,
    PhaseEvent,
    StartedEvent,
    StepEvent,
)  # fmt: skip

STEPS = 4
WORK = Path(sys.argv[1])
never = threading.Event()


def say(event: Event) -> None:
    print(event.model_dump_json(), flush=True)


def leave(code: int) -> None:
    sys.stdout.flush()
    os._exit(code)


def stop(*_: object) -> None:
    (WORK / "stopped").write_text("")
    leave(ExitCode.STOPPED)


def watch_stdin() -> None:
    while os.read(0, 1):
        pass
    leave(ExitCode.STOPPED)


def begin() -> None:
    say(PhaseEvent(phase="training"))
    say(
        StartedEvent(
            total_steps=STEPS, model_revision=None, base_digest="0" * 64, matrices=2, masked_weights=64, train_rows=8,
            validation_rows=4, device="cpu", versions={"fake": "1"},
        )
    )  # fmt: skip
    say(EvaluationEvent(step=0, stage="before", remaining=1.0, metrics={"accuracy": 0.5}))
    (WORK / "environment").write_text("\n".join(f"{name}={value}" for name, value in os.environ.items()))
    (WORK / "started").write_text(str(os.getpid()))


def step(number: int) -> None:
    say(
        StepEvent(
            step=number, total_steps=STEPS, epoch=number / STEPS, loss=1 / number, regularizer=0.1, remaining=0.5,
            learning_rate=0.02, grad_norm=1.0, rows_per_second=100.0, eta_seconds=float(STEPS - number),
        )
    )  # fmt: skip


def store(name: str = "mask.safetensors", content: bytes = b"a mask", digest: str | None = None) -> None:
    (WORK / "artifacts").mkdir(exist_ok=True)
    (WORK / "artifacts" / name).write_bytes(content)
    sha256 = digest or hashlib.sha256(content).hexdigest()
    say(ArtifactEvent(name=name, media_type="application/octet-stream", bytes=len(content), sha256=sha256))


def finish() -> None:
    say(EvaluationEvent(step=STEPS, stage="final", remaining=0.5, metrics={"accuracy": 0.9}))
    say(FinishedEvent(metrics={"before": {"accuracy": 0.5}, "final": {"accuracy": 0.9}, "remaining": 0.5}))


def success() -> None:
    for number in range(1, STEPS + 1):
        step(number)
    say(CheckpointEvent(step=STEPS))
    store()
    store("report.json", b"{}")
    finish()


def garbage() -> None:
    sys.stdout.buffer.write(b'Downloading: 10%\r\n\x00\xff\xfe\n{"event": "dance"}\n\n' + b"x" * 3_000_000 + b"\n")
    print("a warning of some library", file=sys.stderr)
    sys.stderr.buffer.write(b"noise\n" * 50_000 + b"the end of it \x00\xff\n")
    sys.stderr.flush()
    success()


def permanent() -> None:
    say(ErrorEvent(kind="permanent", code="model_head_missing", message="no head; take another", param="model"))
    leave(ExitCode.PERMANENT)


def temporary() -> None:
    say(ErrorEvent(kind="temporary", code="hub_unreachable", message="the hub does not answer"))
    leave(ExitCode.TEMPORARY)


def bug() -> None:
    raise RuntimeError("a bug of the trainer")


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
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], stdin=subprocess.DEVNULL)
    never.wait()


def wait() -> None:
    step(1)
    never.wait()


def deaf() -> None:
    """Neither hears signals nor notices the end of its input."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (WORK / "deaf").write_text(str(os.getpid()))
    never.wait()


def no_mask() -> None:
    store("report.json", b"{}")
    finish()


def no_finish() -> None:
    store()


def lies() -> None:
    store(digest="0" * 64)
    finish()


def first_fails() -> None:
    """Fails once, then finds its checkpoint in the work folder."""
    if not (WORK / "checkpoint").exists():
        (WORK / "checkpoint").write_text("")
        temporary()
    say(LogEvent(message="resumed"))
    success()


def leftover() -> None:
    """Leaves a child behind that holds the pipes."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (WORK.parent / "leftover").write_text(str(child.pid))
    success()


def main() -> None:
    behaviour = globals()[sys.argv[2]]
    signal.signal(signal.SIGTERM, stop)
    if behaviour is not deaf:
        threading.Thread(target=watch_stdin, daemon=True).start()
    begin()
    behaviour()


if __name__ == "__main__":
    main()
