"""The history of a run stays small, travels in checkpoints, and does not show where the run was interrupted."""

from itertools import pairwise
from typing import Any

import pytest

from pruning.events import EvaluationEvent, Event
from pruning.masking.score_adam import UpdateStats
from pruning.training.history import EVALUATIONS, POINTS, History
from pruning.training.step import StepResult


def result(step: int) -> StepResult:
    update = UpdateStats(regularizer=1 / (step + 1), grad_norms=[], grad_norm=float(step))
    return StepResult(step, 1.0, 0.0, 0.02 - step * 1e-7, loss=1 / (step + 3), kept=[90, 10], update=update)


def run(steps: range, history: History | None = None) -> History:
    history = history or History()
    for step in steps:
        history.add(result(step), 200)
        if (step + 1) % 10 == 0:
            history.add_signal(step + 1, 0.05 + step * 1e-7)
    return history


def test_a_short_run_keeps_every_step() -> None:
    rows = run(range(3)).rows()
    assert [row[0] for row in rows] == [1, 2, 3]
    assert rows[1] == [2, 1 / 4, 1.0, 1 / 2, 0.5, 0.02 - 1e-7]


@pytest.mark.parametrize("steps", [POINTS - 1, POINTS, POINTS + 1, 5 * POINTS + 7])
def test_a_long_run_keeps_means_over_equal_numbers_of_steps(steps: int) -> None:
    history = run(range(steps))
    rows = history.rows()
    assert POINTS // 2 <= len(rows) <= POINTS
    assert rows[-1][0] == steps
    edges = [0, *(int(row[0]) for row in rows)]
    assert {b - a for a, b in pairwise(edges[:-1])} <= {history.stride}
    for first, row in zip(edges, rows, strict=False):
        inside = range(first, int(row[0]))
        assert row[1] == pytest.approx(sum(1 / (step + 3) for step in inside) / len(inside))
        assert row[3] == 1 / row[0]


@pytest.mark.parametrize("cut", [1, 999, 1000, 1003, 2500])
def test_interrupted_anywhere_it_ends_as_if_it_never_was(cut: int) -> None:
    whole = run(range(3001))
    first = run(range(cut))
    second = History()
    second.restore(first.packed(), cut)
    run(range(cut, 3001), second)
    assert second.rows() == whole.rows()
    assert second.signal == whole.signal
    assert (whole.resumed, second.resumed) == ([], [cut])
    assert second.packed().numel() < 200_000


def test_evaluations_are_noted_in_passing_once_each_and_the_oldest_are_thinned() -> None:
    history, heard = History(), list[Event]()
    report = history.recording(heard.append)
    events: list[Any] = [EvaluationEvent(step=0, stage="before", remaining=1, metrics={"f1": 0.1})] * 2
    events += [EvaluationEvent(step=i, stage="during", remaining=0.5, metrics={"f1": 0.2}) for i in range(1, 3 * EVALUATIONS)]
    events.append(EvaluationEvent(step=9999, stage="final", remaining=0.5, metrics={"f1": 0.3}))
    for event in events:
        report(event)
    assert heard == events
    kept = history.evaluations
    assert len(kept) <= EVALUATIONS + 1
    assert [row["stage"] for row in kept].count("before") == 1
    assert kept[-1] == {
        "step": 9999,
        "stage": "final",
        "remaining": 0.5,
        "metrics": {"f1": 0.3},
        "predicted": None,
        "constant_prediction": False,
        "signal_to_noise": None,
    }
    assert [row["step"] for row in kept] == sorted(row["step"] for row in kept)
