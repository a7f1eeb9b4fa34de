"""The loop takes the same steps as single calls of the backend, bit by bit, and reads results as late as the backend allows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from pruning.events import Event
from pruning.sources import Sources
from pruning.training.checkpoint import Checkpoints
from pruning.training.history import History
from pruning.training.loop import run_loop
from pruning.training.pruner import Pruner
from pruning.training.run import Batch, Run
from pruning.training.setup import set_up
from pruning.training.step import StepResult
from tests.pruning.runs import make_sources, of_kind, spec_of

FIELDS: dict[str, Any] = {"max_steps": 5, "dropout": 0.2, "gradient_accumulation": 2, "batch_size": 4}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    return make_sources(tmp_path_factory.mktemp("toys"))


def loop(run: Run, folder: Path) -> tuple[History, list[Event]]:
    history, events = History(), list[Event]()
    checkpoints = Checkpoints(folder, "run", lambda step: None)
    run_loop(run, 0, history, checkpoints, history.recording(events.append), lambda: False)
    return history, events


@pytest.mark.parametrize("fields", [{}, {"method": "movement"}, {"train_biases": True}], ids=str)
def test_the_loop_takes_the_steps_of_the_backend(sources: Sources, tmp_path: Path, fields: dict[str, Any]) -> None:
    looped, stepped = (set_up(spec_of(**FIELDS, **fields), sources, lambda event: None) for _ in range(2))
    torch.manual_seed(1)
    history, _ = loop(looped, tmp_path)
    torch.manual_seed(1)
    stepped.head.train()
    results = [stepped.pruner.step(t, stepped.micro_batches(t)) for t in range(5)]
    assert [row[1] for row in history.rows()] == [result.loss for result in results]
    for path, layer in looped.matrices.layers.items():
        other = stepped.matrices.layers[path]
        assert torch.equal(layer.scores, other.scores)
        assert torch.equal(layer.masked_weight, other.masked_weight)


class Asynchronous(Pruner[Batch]):
    """A plain backend whose results are computed when they are read."""

    max_pending: ClassVar[int] = 1
    read: list[tuple[int, int]]
    """Step of a result, and steps launched when it was read."""
    launched = 0

    def update(self, t: int, losses: list[torch.Tensor]) -> Callable[[], StepResult]:
        pending = super().update(t, losses)
        self.launched += 1

        def result() -> StepResult:
            self.read.append((t, self.launched))
            return pending()

        return result


def test_results_are_read_one_step_late_and_before_anything_depends_on_them(sources: Sources, tmp_path: Path) -> None:
    run = set_up(spec_of(**FIELDS, eval_every=3), sources, lambda event: None)
    pruner: Any = run.pruner
    pruner.__class__, pruner.read = Asynchronous, []
    history, events = loop(run, tmp_path)
    assert pruner.read == [(0, 2), (1, 3), (2, 3), (3, 5), (4, 5)]
    assert [row[0] for row in history.rows()] == [1, 2, 3, 4, 5]
    assert [event.event for event in events if event.event != "step"] == ["evaluation"]
    assert of_kind(events, "step")[-1].step == 5
