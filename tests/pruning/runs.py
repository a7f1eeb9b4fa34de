"""Running the trainer in tests: as a function, as the program it is, and as the program forked from a warm process.

Importing torch and transformers costs seconds of processor time. :func:`fork` starts the same program, with its own
descriptors, signals and exit code, from a server process that has them loaded.
"""

import contextlib
import json
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pruning.events import Event, FinishedEvent, parse_line
from pruning.formats import mask_file
from pruning.formats.mask_file import Masks
from pruning.sources import Sources
from pruning.spec.schema import PruningSpec
from pruning.training.train import train
from tests import toy_datasets, toy_models
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
_CRASHES = (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
SECONDS = 120
FIELDS: dict[str, Any] = {
    "model": "bert",
    "task": "sst2",
    "sparsity": 0.5,
    "max_steps": 12,
    "batch_size": 8,
    "max_length": 32,
    "regularization": 20,
    "validation_rows": 32,
}


def make_sources(folder: Path) -> Sources:
    """Models ``bert`` … (toy_models.SHAPES) and data sets ``sst2`` and ``stsb`` under ``folder``; never the hub."""
    for shape in toy_models.SHAPES:
        toy_models.make_model(folder / "models" / shape, shape)
    toy_datasets.make_opinions(folder / "datasets" / "sst2")
    toy_datasets.make_ratings(folder / "datasets" / "stsb")
    return Sources(folder / "models", folder / "datasets", hub=False)


def spec_of(**fields: Any) -> PruningSpec:
    """A short run on a toy."""
    return PruningSpec.model_validate({**FIELDS, **fields})


def run_toy(sources: Sources, work: Path, *, should_stop: Callable[[], bool] = lambda: False, **fields: Any) -> list[Event]:
    """Train in this process; what was reported."""
    events: list[Event] = []
    train(spec_of(**fields), work, sources, events.append, should_stop)
    return events


def finished(events: Sequence[Event]) -> dict[str, Any]:
    """The metrics of the last event, which must be that of a run that succeeded."""
    last = events[-1]
    assert isinstance(last, FinishedEvent), last
    return last.metrics


@dataclass(frozen=True)
class ProgramExit:
    """What a program left behind."""

    code: int
    events: list[Event]
    stderr: str

    @property
    def last(self) -> Any:
        return self.events[-1]

    def __post_init__(self) -> None:
        """A crash is what no test of the program expects: its stderr is shown before any other comparison."""
        assert -self.code not in _CRASHES, f"the program ended by signal {-self.code}: {self.stderr}"


def arguments_of(work: Path, spec: Mapping[str, Any] | str, sources: Sources, *more: str) -> list[str]:
    """``python -m pruning train`` for a spec, written next to ``work``."""
    work.parent.mkdir(parents=True, exist_ok=True)
    file = work.with_suffix(".spec.json")
    file.write_text(spec if isinstance(spec, str) else json.dumps({**FIELDS, **spec}))
    given = ["train", "--spec", str(file), "--work", str(work), *more]
    for option, folder in (("--models-dir", sources.models_dir), ("--datasets-dir", sources.datasets_dir)):
        given += [option, str(folder)] if folder else []
    return [*given, *([] if sources.hub else ["--no-hub"])]


def start(arguments: Sequence[str], *, env: Mapping[str, str] | None = None) -> "subprocess.Popen[bytes]":
    """The program, started; its standard input stays open."""
    return subprocess.Popen(
        [sys.executable, "-m", "pruning", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1", **(env or {})},
    )


def finish(process: "subprocess.Popen[bytes]") -> ProgramExit:
    """Wait for its end; every line of its output must be an event."""
    out, err = process.communicate(timeout=SECONDS)
    return ProgramExit(process.returncode, [parse_line(line) for line in out.splitlines()], err.decode())


def next_event(process: "subprocess.Popen[bytes]", kind: str) -> Event:
    """Read its lines up to the first event of a kind."""
    assert process.stdout is not None
    for line in process.stdout:
        event = parse_line(line)
        if event.event == kind:
            return event
    raise AssertionError(f"the program ended without an event {kind!r}: {finish(process)}")


_WARM = multiprocessing.get_context("forkserver")
_WARM.set_forkserver_preload(["__main__", __name__])


class Forked:
    """The program in a process of its own, its output in files."""

    def __init__(self, arguments: Sequence[str], logs: Path, before: str) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self._out, self._err = logs / "stdout", logs / "stderr"
        self._process = _WARM.Process(
            target=become_the_program, args=(list(arguments), str(self._out), str(self._err), before), daemon=True
        )
        self._process.start()

    def signal(self, number: int) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def next_event(self, kind: str) -> Event:
        """Wait for an event of a kind."""

        def found() -> Event | None:
            ended = self._process.exitcode is not None
            event = next((event for event in self._events() if event.event == kind), None)
            assert event or not ended, f"ended without an event {kind!r}: {self._err.read_text()}"
            return event

        event = wait_until(found, seconds=SECONDS, what=f"an event {kind!r}")
        assert event is not None
        return event

    def wait(self) -> int:
        """Wait for its end; the exit code."""
        self._process.join(SECONDS)
        if self._process.exitcode is None:
            self._process.kill()
            raise AssertionError(f"the program did not end within {SECONDS} s: {self._err.read_text()}")
        return self._process.exitcode

    def finish(self) -> ProgramExit:
        """Wait for its end; every line of its output must be an event."""
        code = self.wait()
        return ProgramExit(code, self._events(), self._err.read_text())

    def _events(self) -> list[Event]:
        lines = self._out.read_bytes().splitlines(keepends=True) if self._out.exists() else []
        return [parse_line(line) for line in lines if line.endswith(b"\n")]


def fork(arguments: Sequence[str], logs: Path, *, before: str = "") -> Forked:
    """The program, started from the warm process; ``before`` is Python code to be run first."""
    return Forked(arguments, logs, before)


def run_in_fork(code: str, cwd: Path) -> str:
    """What Python code prints in ``cwd``, in a process that has torch loaded; it must end without an error."""
    logs = cwd / "forked"
    done = fork([], logs, before=f"import os\nos.chdir({str(cwd)!r})\n{code}\nraise SystemExit(0)")
    assert done.wait() == 0, (logs / "stderr").read_text()
    return (logs / "stdout").read_text()


def become_the_program(arguments: list[str], out: str, err: str, before: str) -> None:
    """In a forked process: run the program with its output in files, after the code ``before``; does not return."""
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    os.chdir(ROOT)
    sys.argv = ["pruning", *arguments]
    torch.set_num_threads(1)
    code: Any = 0
    try:
        exec(before, {})
        runpy.run_module("pruning", run_name="__main__", alter_sys=True)
    except SystemExit as left:
        code = left.code
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(int(code or 0))


def of_kind(events: list[Event], kind: str) -> list[Any]:
    """The events of one kind, in order."""
    return [event for event in events if event.event == kind]


def stop_after(steps: int) -> Callable[[], bool]:
    """For ``should_stop``, which is asked once after every step."""
    asked = iter(range(1, 10_000))
    return lambda: next(asked) >= steps


def masks_in(work: Path) -> Masks:
    """The masks a run has written."""
    return mask_file.read(work / "artifacts" / "mask.safetensors")[0]


def same_masks(first: Path, second: Path) -> bool:
    """Whether two runs ended with the same bits."""
    ours, theirs = masks_in(first), masks_in(second)
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in ours)
