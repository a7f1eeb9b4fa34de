"""keep: best delivers the mask of the best evaluation at full sparsity, to the last bit, whether or not the run was interrupted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from torch import nn

from pruning.errors import StoppedError
from pruning.events import Event
from pruning.formats import mask_file
from pruning.inference.evaluation import evaluate_mask
from pruning.inference.pruned_model import load_pruned
from pruning.masking.wrap import wrap_linears
from pruning.sources import Sources
from pruning.training.best_mask import BestMask
from pruning.training.extra_parameters import ExtraParameters
from pruning.training.train import train
from tests.pruning.runs import finished, make_sources, of_kind, run_toy, same_masks, spec_of

FIELDS: dict[str, Any] = {
    "max_steps": 24,
    "ramp": 0.25,
    "eval_every": 1,
    "checkpoint_every": 5,
    "learning_rate": 0.5,
    "sparsity": 0.8,
    "keep": "best",
    "validation_rows": None,
    "prior": None,
}
TRAINED: dict[str, dict[str, Any]] = {
    "scores": {},
    "extras": {"train_biases": True, "train_readout": True, "seed": 3},  # by which the last mask is not the best
    "weights": {"method": "movement", "learning_rate": 0.1},
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    return make_sources(tmp_path_factory.mktemp("toys"))


def stop_after(calls: int) -> Callable[[], bool]:
    left = iter(range(calls))
    return lambda: next(left, None) is None


@pytest.mark.parametrize("trained", TRAINED)
def test_the_best_mask_is_delivered_and_survives_an_interruption(sources: Sources, tmp_path: Path, trained: str) -> None:
    fields = FIELDS | TRAINED[trained]
    events = run_toy(sources, tmp_path / "whole", **fields)
    during = {event.step: event for event in of_kind(events, "evaluation") if event.stage == "during"}
    (final,) = [event for event in of_kind(events, "evaluation") if event.stage == "final"]
    held = [event for event in during.values() if event.remaining < 0.21]
    assert len(held) < len(during)  # those of the ramp do not count
    best = max(held, key=lambda event: (event.metrics["accuracy"], event.step))
    assert best.step < 24  # or nothing would be shown; the toy's accuracy goes up and down at this learning rate
    assert (final.step, final.metrics, final.remaining) == (best.step, best.metrics, best.remaining)
    result = finished(events)
    assert (result["kept_step"], result["final"], result["last"]) == (best.step, best.metrics, during[24].metrics)
    folder = tmp_path / "whole" / "artifacts"
    assert "The mask is that of step" in (folder / "report.html").read_text()
    weights = folder / "weights.safetensors"
    mask = load_pruned(folder / "mask.safetensors", sources=sources, weights=weights if weights.exists() else None)
    assert evaluate_mask(mask, sources)["accuracy"] == best.metrics["accuracy"]

    with pytest.raises(StoppedError):
        run_toy(sources, tmp_path / "resumed", should_stop=stop_after(best.step), **fields)
    again = run_toy(sources, tmp_path / "resumed", **fields)
    assert of_kind(again, "started")[0].resumed_from == best.step + 1
    assert same_masks(tmp_path / "whole", tmp_path / "resumed")
    if weights.exists():
        assert weights.read_bytes() == (tmp_path / "resumed" / "artifacts" / weights.name).read_bytes()
    assert finished(again)["kept_step"] == best.step


def test_a_stop_while_it_is_delivered_leaves_the_state_of_the_last_step(sources: Sources, tmp_path: Path) -> None:
    fields = FIELDS | TRAINED["extras"]
    run_toy(sources, tmp_path / "whole", **fields)
    events: list[Event] = []
    spec = spec_of(**fields)
    with pytest.raises(StoppedError) as stopped:  # while the best mask is evaluated
        train(
            spec,
            tmp_path / "stopped",
            sources,
            events.append,
            lambda: any("keep best" in event.message for event in of_kind(events, "log")),
        )
    assert stopped.value.step == 24
    again = run_toy(sources, tmp_path / "stopped", **fields)
    assert of_kind(again, "started")[0].resumed_from == 24
    assert same_masks(tmp_path / "whole", tmp_path / "stopped")
    read = [json.loads((tmp_path / name / "artifacts/report.json").read_text())["result"] for name in ("whole", "stopped")]
    assert read[0]["last"] == read[1]["last"]
    assert read[0]["final"] == read[1]["final"]


def test_without_an_evaluation_at_full_sparsity_the_last_mask_is_delivered(sources: Sources, tmp_path: Path) -> None:
    last = run_toy(sources, tmp_path / "last", **FIELDS | {"keep": "last", "eval_every": 2, "ramp": 1.0})
    events = run_toy(sources, tmp_path / "best", **FIELDS | {"eval_every": 2, "ramp": 1.0})
    assert same_masks(tmp_path / "last", tmp_path / "best")
    assert finished(events)["kept_step"] == 24
    assert finished(last)["last"] is None
    _, info = mask_file.read(tmp_path / "best" / "artifacts" / "mask.safetensors")
    assert info.spec.keep == "best"


def test_of_equal_metrics_the_later_mask_stays() -> None:
    model = nn.Module()
    model.layer = nn.ModuleList([nn.Linear(8, 8)])
    matrices = wrap_linears(model)
    best = BestMask(matrices, ExtraParameters((), (), None, 0), "f1", trains_weights=False)
    offered = [(1, 0.5), (2, 0.5), (3, 0.4), (4, 0.6), (5, 0.6), (6, 0.1)]
    assert [best.offer(step, {"f1": value}) for step, value in offered] == [True, True, False, True, True, False]
    assert best.found is not None
    assert best.found.step == 5
    assert best.better_than({"f1": 0.6}) is None
    assert best.better_than({"f1": 0.59}) is best.found


@pytest.mark.parametrize("fields", [{"method": "wanda"}, {"method": "magnitude", "one_shot": True}, {"method": "l0"}])
def test_masks_between_which_there_is_no_choice(fields: dict[str, Any]) -> None:
    steps = {} if fields["method"] == "l0" else {"max_steps": None}
    with pytest.raises(ValidationError) as caught:
        spec_of(keep="best", **fields, **steps)
    assert [error["ctx"]["param"] for error in caught.value.errors()] == ["keep"]
