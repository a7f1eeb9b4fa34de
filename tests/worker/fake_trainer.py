"""Fake trainer: emits the events of ``pruning.events``, trains nothing, and ends as its argument says.

    python -m tests.worker.fake_trainer WORK BEHAVIOUR

It writes ``started`` into the job's folder, the parent of WORK, once it runs, and exits like the real one: with 80 on SIGTERM,
and when its standard input ends or its deadline has passed. A behaviour is a function of this file or of
:mod:`tests.worker.trainer_faults`.
"""

import hashlib
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from pruning import failpoints
from pruning.cli.environment import watch_stdin
from pruning.events import (
    BaselineEvent,
    CheckpointEvent,
    EvaluationEvent,
    ExitCode,
    FinishedEvent,
    LogEvent,
    PhaseEvent,
    WarningEvent,
)
from tests.worker import trainer_faults
from tests.worker.fake_reports import JOB, STEPS, WORK, begin, emit, exit_now, finish, never, step, stop, store, success


def at_chance() -> None:
    emit(WarningEvent(code="predicts_one_class", message="the final mask predicts one class", remedy="More rows."))
    success()


def with_baseline() -> None:
    for number in range(1, STEPS + 1):
        step(number)
    store()
    emit(PhaseEvent(phase="baseline"))
    for number in (1, 2):
        emit(
            BaselineEvent(
                step=number,
                total_steps=2,
                loss=9.0,
                learning_rate=5e-5,
                rows_per_second=40.0,
                eta_seconds=2.0 - number,
                metrics={"accuracy": 0.95} if number == 2 else None,
            )
        )
    finish()


def steady(steps: int = STEPS) -> None:
    """Like the real one: trains step by step, leaves checkpoints, resumes from them; its mask depends on every step.

    Hits the real trainer's failpoints.
    """
    folder = WORK / "checkpoints"
    for partial in folder.glob(".writing-*"):
        partial.unlink()
    failpoints.hit(failpoints.Failpoint.PREPARED)
    done, state = max(((int(file.name), file.read_text()) for file in folder.iterdir()), default=(0, ""))
    begin(done, steps)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    for number in range(done + 1, steps + 1):
        never.wait(0.05)
        state = hashlib.sha256(f"{state}{number}".encode()).hexdigest()
        step(number, steps)
        with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".writing-", delete=False) as unfinished:
            failpoints.hit(failpoints.Failpoint.CHECKPOINT_BEGUN)
            unfinished.write(state)
        failpoints.hit(failpoints.Failpoint.CHECKPOINT_WRITTEN)
        Path(unfinished.name).rename(folder / str(number))
        failpoints.hit(failpoints.Failpoint.CHECKPOINT_NAMED)
        emit(CheckpointEvent(step=number))
        if stopping.is_set():
            exit_now(ExitCode.STOPPED)
    failpoints.hit(failpoints.Failpoint.TRAINED)
    (WORK / "artifacts").mkdir()
    (WORK / "artifacts" / "mask.safetensors").write_text(state)
    failpoints.hit(failpoints.Failpoint.ARTIFACT_FILED)
    store(content=state.encode())
    failpoints.hit(failpoints.Failpoint.FINISHED)
    finish(steps)
    failpoints.hit(failpoints.Failpoint.LEAVING)


def slow_steady() -> None:
    """``steady`` with many more steps than a test waits for."""
    steady(1000)


def one_step() -> None:
    """Takes a step, leaves no checkpoint and fails with a temporary error."""
    step(1)
    trainer_faults.temporary()


def steady_mask(steps: int = STEPS) -> bytes:
    """The mask of an uninterrupted ``steady``."""
    state = ""
    for number in range(1, steps + 1):
        state = hashlib.sha256(f"{state}{number}".encode()).hexdigest()
    return state.encode()


def wait() -> None:
    step(1)
    never.wait()


def first_waits() -> None:
    """Waits for ever in its first attempt and succeeds in its second."""
    if WORK.name == "attempt-1":
        wait()
    success()


def large() -> None:
    """Its mask is uploaded to an object storage in two parts."""
    store(content=bytes(9 * 1024 * 1024))
    finish()


def exports() -> None:
    """Like the real exporter: its artifacts tell which inputs it found."""
    emit(PhaseEvent(phase="exporting", message="csr"))
    found = sorted(path.name for path in [*WORK.glob("*.safetensors"), *WORK.glob("uploads/*")])
    store("export-csr.zip", (WORK / "mask.safetensors").read_bytes())
    store("exports.json", "\n".join(found).encode())
    emit(FinishedEvent(metrics={"threads": 1, "exports": []}))


def evaluated_mask() -> None:
    """Like the real evaluation: its artifacts tell which inputs it found."""
    emit(PhaseEvent(phase="evaluating"))
    found = sorted(path.name for path in [*WORK.glob("*.safetensors"), *WORK.glob("uploads/*")])
    emit(EvaluationEvent(step=0, stage="final", remaining=0.5, metrics={"accuracy": 0.75}))
    store("evaluation.json", "\n".join(found).encode())
    emit(FinishedEvent(metrics={"primary_metric": "accuracy", "final": {"accuracy": 0.75}, "rows": 4}))


def first_fails() -> None:
    """Fails once, then finds its checkpoint in the work folder."""
    if not (WORK / "checkpoints" / "checkpoint").exists():
        (WORK / "checkpoints" / "checkpoint").write_text("")
        trainer_faults.temporary()
    emit(LogEvent(message="resumed"))
    success()


def leftover() -> None:
    """Leaves a child process that holds the pipes open."""
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    (JOB.parent / "leftover").write_text(str(child.pid))
    success()


def main() -> None:
    name = sys.argv[2]
    behaviour = globals().get(name) or getattr(trainer_faults, name)
    signal.signal(signal.SIGTERM, stop)
    if behaviour is not trainer_faults.deaf:
        watch_stdin()
    if behaviour not in (steady, slow_steady, exports, evaluated_mask):
        begin()
    behaviour()


if __name__ == "__main__":
    main()
