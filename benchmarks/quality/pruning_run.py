"""A run of a recipe of the project, by its own entry point, and what its events and artifacts say.

Called by :mod:`benchmarks.quality.one_run`. Nothing is shortened: the run writes its checkpoints and artifacts, and the held-out
rows are evaluated with the mask that it has written, as a user's would be.
"""

import json
import time
from pathlib import Path
from typing import Any

from safetensors import safe_open

from benchmarks.quality.cell import Cell
from benchmarks.quality.outcome import Moment, Notify, Outcome, Point, is_constant, rows_until
from pruning.data.batching import BatchStream
from pruning.evaluation.evaluate import PREDICTIONS
from pruning.events import EvaluationEvent, Event, FinishedEvent, LogEvent, PhaseEvent, StepEvent
from pruning.formats import trained_weights
from pruning.inference.evaluation import evaluate_mask
from pruning.inference.pruned_model import load_pruned
from pruning.sources import Sources
from pruning.training.distributed import join_process_group
from pruning.training.report_data import COMPACT
from pruning.training.train import train

_SECONDS_BETWEEN_NOTES = 20.0


class StepClock:
    """Events of a run with the time of each, and the seconds of its steps.

    The training loop asks after every step whether to stop, once what is due after the step (an evaluation, a checkpoint) is
    done. A step with an evaluation counts as long as the mean of the others: when its evaluation began is not reported.
    """

    def __init__(self, steps: int, notify: Notify) -> None:
        self._steps, self._notify = steps, notify
        self._noted = time.perf_counter()
        self._last = Moment.now()
        self._durations: list[Moment] = []
        self._evaluated: set[int] = set()
        self.curve: list[tuple[int, dict[str, float]]] = []
        self.final: dict[str, Any] = {}

    def emit(self, event: Event) -> None:
        """Take an event of the run."""
        if isinstance(event, PhaseEvent) and event.phase == "training":
            self._last = Moment.now()
        elif isinstance(event, EvaluationEvent) and event.stage != "before":
            self._evaluated.add(event.step - 1 if event.stage == "during" else -1)
            self.curve.append((event.step, event.metrics))
            self._notify(f"step {event.step} {event.stage} {_rounded(event.metrics)}")
        elif isinstance(event, StepEvent) and time.perf_counter() - self._noted > _SECONDS_BETWEEN_NOTES:
            self._noted = time.perf_counter()
            self._notify(f"step {event.step}/{event.total_steps} loss {event.loss:.3f} left {event.eta_seconds:.0f} s")
        elif isinstance(event, LogEvent) and event.level == "warning":
            self._notify(event.message)
        elif isinstance(event, FinishedEvent):
            self.final = event.metrics

    def should_stop(self) -> bool:
        """Note the end of a step; never."""
        now = Moment.now()
        if len(self._durations) < self._steps:  # the final evaluation asks as well
            self._durations.append(now - self._last)
        self._last = now
        return False

    def until(self, steps: int) -> Moment:
        """Seconds of the first ``steps`` steps, by both clocks."""
        plain = [length for i, length in enumerate(self._durations[:steps]) if i not in self._evaluated]
        total = sum(plain, Moment(0.0, 0.0))
        share = steps / len(plain) if plain else 0.0
        return Moment(round(total.wall * share, 3), round(total.cpu * share, 3))


def run(cell: Cell, sources: Sources, work: Path, evaluations: int, stream: BatchStream, notify: Notify) -> Outcome:
    """Train ``cell`` in ``work``, evaluated about ``evaluations`` times in all. Raises PermanentError, TemporaryError."""
    spec = cell.spec(eval_every=max(1, -(-cell.steps // evaluations)))
    clock = StepClock(cell.steps, notify)
    began = time.perf_counter()
    group = join_process_group(spec.devices)
    train(spec, work, sources, clock.emit, clock.should_stop, group)
    total = time.perf_counter() - began
    folder = work / "artifacts"
    primary: str = clock.final["primary_metric"]
    curve: list[Point] = [
        (step, clock.until(step).wall, rows_until(stream, step), metrics[primary], clock.until(step).cpu)
        for step, metrics in clock.curve
    ]
    weights = folder / trained_weights.WEIGHTS
    stored = weights.stat().st_size if weights.exists() else 0

    def evaluate(held_out: Sources) -> dict[str, float]:
        pruned = load_pruned(folder / COMPACT, sources=sources)
        pruned.head.to(group.device)
        return evaluate_mask(pruned, held_out)

    return Outcome(
        primary_metric=primary,
        metrics=clock.final["final"],
        curve=curve,
        seconds_training=clock.until(cell.steps).wall,
        cpu_seconds_training=clock.until(cell.steps).cpu,
        seconds_total=round(total, 3),
        sparsity=clock.final["sparsity"],
        one_class=is_constant(_predictions(folder / PREDICTIONS)),
        artifact_bytes=clock.final["compact_mask_bytes"] + stored,
        extra_parameters=_count(weights),
        evaluate=evaluate,
    )


def _predictions(file: Path) -> list[Any]:
    return [json.loads(line)["prediction"] for line in file.read_text("utf-8").splitlines()]


def _count(weights: Path) -> int:
    """Numbers in a file of trained weights."""
    if not weights.exists():
        return 0
    with safe_open(weights, framework="pt") as stored:
        return sum(stored.get_tensor(name).numel() for name in stored.keys())  # noqa: SIM118 - no mapping


def _rounded(metrics: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
