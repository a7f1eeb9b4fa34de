"""Reports of the fake trainer: the events, files and exits that its behaviours are made of.

Called by :mod:`tests.worker.fake_trainer` and :mod:`tests.worker.trainer_faults`.
"""

import hashlib
import os
import sys
import threading
from pathlib import Path

from pruning.events import (
    ArtifactEvent,
    CheckpointEvent,
    EvaluationEvent,
    Event,
    ExitCode,
    FinishedEvent,
    PhaseEvent,
    StartedEvent,
    StepEvent,
)

STEPS = 4
"""Of a run, unless a behaviour takes more."""
WORK = Path(sys.argv[1] if Path(sys.argv[0]).name == "fake_trainer.py" else ".")
JOB = WORK.parent
"""Shared by all attempts: where it leaves marks for the test."""
never = threading.Event()


def emit(event: Event) -> None:
    print(event.model_dump_json(), flush=True)


def exit_now(code: int) -> None:
    sys.stdout.flush()
    os._exit(code)


def stop(*_: object) -> None:
    (JOB / "stopped").write_text("")
    exit_now(ExitCode.STOPPED)


def begin(resumed_from: int = 0, steps: int = STEPS) -> None:
    emit(PhaseEvent(phase="training"))
    emit(
        StartedEvent(
            total_steps=steps,
            resumed_from=resumed_from,
            model_revision=None,
            base_digest="0" * 64,
            matrices=2,
            masked_weights=64,
            train_rows=8,
            validation_rows=4,
            validation_share=0.25,
            device="cpu",
            versions={"fake": "1"},
        )
    )
    emit(EvaluationEvent(step=0, stage="before", remaining=1.0, metrics={"accuracy": 0.5}))
    (JOB / "environment").write_text("\n".join(f"{name}={value}" for name, value in os.environ.items()))
    (JOB / "started.part").write_text(str(os.getpid()))
    (JOB / "started.part").rename(JOB / "started")


def step(number: int, steps: int = STEPS) -> None:
    emit(
        StepEvent(
            step=number,
            total_steps=steps,
            epoch=number / steps,
            loss=1 / number,
            regularizer=0.1,
            remaining=0.5,
            learning_rate=0.02,
            grad_norm=1.0,
            rows_per_second=100.0,
            eta_seconds=float(steps - number),
        )
    )


def store(name: str = "mask.safetensors", content: bytes = b"a mask", digest: str | None = None) -> None:
    (WORK / "artifacts").mkdir(exist_ok=True)
    (WORK / "artifacts" / name).write_bytes(content)
    sha256 = digest or hashlib.sha256(content).hexdigest()
    emit(ArtifactEvent(name=name, media_type="application/octet-stream", bytes=len(content), sha256=sha256))


def finish(steps: int = STEPS) -> None:
    emit(EvaluationEvent(step=steps, stage="final", remaining=0.5, metrics={"accuracy": 0.9}))
    emit(FinishedEvent(metrics={"before": {"accuracy": 0.5}, "final": {"accuracy": 0.9}, "remaining": 0.5}))


def success() -> None:
    for number in range(1, STEPS + 1):
        step(number)
    emit(CheckpointEvent(step=STEPS))
    store()
    store("report.json", b"{}")
    finish()
