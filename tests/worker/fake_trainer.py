"""Fake trainer: emits the events of ``pruning.events``, trains nothing, and ends as its argument says.

    python -m tests.worker.fake_trainer WORK BEHAVIOUR

It writes ``started`` into the job's folder, the parent of WORK, once it runs, and exits like the real one: with 80 on SIGTERM,
and when its standard input ends or its deadline has passed.
"""

import ctypes
import hashlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from pruning import failpoints
from pruning.cli.environment import watch_stdin
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
WORK = Path(sys.argv[1] if __name__ == "__main__" else ".")
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


def begin(resumed_from: int = 0) -> None:
    emit(PhaseEvent(phase="training"))
    emit(
        StartedEvent(
            total_steps=STEPS, resumed_from=resumed_from, model_revision=None, base_digest="0" * 64, matrices=2,
            masked_weights=64, train_rows=8, validation_rows=4, device="cpu", versions={"fake": "1"},
        )
    )  # fmt: skip
    emit(EvaluationEvent(step=0, stage="before", remaining=1.0, metrics={"accuracy": 0.5}))
    (JOB / "environment").write_text("\n".join(f"{name}={value}" for name, value in os.environ.items()))
    (JOB / "started.part").write_text(str(os.getpid()))
    (JOB / "started.part").rename(JOB / "started")


def step(number: int) -> None:
    emit(
        StepEvent(
            step=number, total_steps=STEPS, epoch=number / STEPS, loss=1 / number, regularizer=0.1, remaining=0.5,
            learning_rate=0.02, grad_norm=1.0, rows_per_second=100.0, eta_seconds=float(STEPS - number),
        )
    )  # fmt: skip


def store(name: str = "mask.safetensors", content: bytes = b"a mask", digest: str | None = None) -> None:
    (WORK / "artifacts").mkdir(exist_ok=True)
    (WORK / "artifacts" / name).write_bytes(content)
    sha256 = digest or hashlib.sha256(content).hexdigest()
    emit(ArtifactEvent(name=name, media_type="application/octet-stream", bytes=len(content), sha256=sha256))


def finish() -> None:
    emit(EvaluationEvent(step=STEPS, stage="final", remaining=0.5, metrics={"accuracy": 0.9}))
    emit(FinishedEvent(metrics={"before": {"accuracy": 0.5}, "final": {"accuracy": 0.9}, "remaining": 0.5}))


def success() -> None:
    for number in range(1, STEPS + 1):
        step(number)
    emit(CheckpointEvent(step=STEPS))
    store()
    store("report.json", b"{}")
    finish()


def steady() -> None:
    """Like the real one: trains step by step, leaves checkpoints, resumes from them; its mask depends on every step.

    Hits the real trainer's failpoints.
    """
    folder = WORK / "checkpoints"
    for partial in folder.glob(".writing-*"):
        partial.unlink()
    failpoints.hit(failpoints.Failpoint.PREPARED)
    done, state = max(((int(file.name), file.read_text()) for file in folder.iterdir()), default=(0, ""))
    begin(done)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    for number in range(done + 1, STEPS + 1):
        never.wait(0.05)
        state = hashlib.sha256(f"{state}{number}".encode()).hexdigest()
        step(number)
        with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".writing-", delete=False) as partial:
            failpoints.hit(failpoints.Failpoint.CHECKPOINT_BEGUN)
            partial.write(state)
        failpoints.hit(failpoints.Failpoint.CHECKPOINT_WRITTEN)
        Path(partial.name).rename(folder / str(number))
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
    finish()
    failpoints.hit(failpoints.Failpoint.LEAVING)


def slow_steady() -> None:
    """``steady`` with many more steps than a test waits for."""
    global STEPS
    STEPS = 1000
    steady()


def one_step() -> None:
    """Takes a step, leaves no checkpoint and fails with a temporary error."""
    step(1)
    temporary()


def steady_mask(steps: int = STEPS) -> bytes:
    """The mask of an uninterrupted ``steady``."""
    state = ""
    for number in range(1, steps + 1):
        state = hashlib.sha256(f"{state}{number}".encode()).hexdigest()
    return state.encode()


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
            total_steps=2**70, model_revision=None, base_digest="0" * 64, matrices=2, masked_weights=64, train_rows=8,
            validation_rows=4, device="cpu", versions={},
        )
    )  # fmt: skip
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


def wait() -> None:
    step(1)
    never.wait()


def first_waits() -> None:
    """Waits for ever in its first attempt and succeeds in its second."""
    if WORK.name == "attempt-1":
        wait()
    success()


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


def large() -> None:
    """Its mask is uploaded to an object storage in two parts."""
    store(content=bytes(9 * 1024 * 1024))
    finish()


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


def exports() -> None:
    """Like the real exporter: its artifacts tell which inputs it found."""
    emit(PhaseEvent(phase="exporting", message="csr"))
    found = sorted(path.name for path in [*WORK.glob("*.safetensors"), *WORK.glob("uploads/*")])
    store("export-csr.zip", (WORK / "mask.safetensors").read_bytes())
    store("exports.json", "\n".join(found).encode())
    emit(FinishedEvent(metrics={"threads": 1, "exports": []}))


def no_figures() -> None:
    store("export-csr.zip")
    finish()


def first_fails() -> None:
    """Fails once, then finds its checkpoint in the work folder."""
    if not (WORK / "checkpoints" / "checkpoint").exists():
        (WORK / "checkpoints" / "checkpoint").write_text("")
        temporary()
    emit(LogEvent(message="resumed"))
    success()


def leftover() -> None:
    """Leaves a child process that holds the pipes open."""
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    (JOB.parent / "leftover").write_text(str(child.pid))
    success()


def main() -> None:
    behaviour = globals()[sys.argv[2]]
    signal.signal(signal.SIGTERM, stop)
    if behaviour is not deaf:
        watch_stdin()
    if behaviour not in (steady, slow_steady, exports):
        begin()
    behaviour()


if __name__ == "__main__":
    main()
