"""The first read-out of a run: which heads have one fitted, from which states, and that everything after it stays exact."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from pruning.data.batching import spaced_rows
from pruning.evaluation.evaluate import compute_logits
from pruning.models.loading import load_model, locate_model
from pruning.sources import Sources
from pruning.spec.schema import PruningSpec
from pruning.training import baseline
from pruning.training.run import Run
from pruning.training.setup import set_up
from tests import toy_architectures, toy_datasets
from tests.pruning.runs import make_sources, of_kind, run_toy, spec_of
from tests.toy_tagged import tagged


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    root = tmp_path_factory.mktemp("toys")
    sources = make_sources(root)
    toy_architectures.make_model(root / "models" / "llama", "llama")
    toy_architectures.make_classifier(root / "models" / "tuned", ["negative", "positive"])
    return sources


def begun(sources: Sources, **fields: Any) -> Run:
    return set_up(spec_of(**{"head": "classifier", "fit_readout": True, **fields}), sources, lambda event: None)


def accuracy(run: Run) -> float:
    """On the calibration rows."""
    rows = run.train.take(spaced_rows(len(run.train), run.spec.calibration_rows))
    logits = np.stack(compute_logits(run.head, rows, run.device))
    return float((logits.argmax(axis=1) == rows.labels.numpy()).mean())


@pytest.mark.parametrize("model", ["bert", "llama"])
def test_a_new_classifier_begins_at_what_the_states_tell(sources: Sources, model: str) -> None:
    fitted, random = begun(sources, model=model), begun(sources, model=model, fit_readout=False)
    assert accuracy(fitted) > max(accuracy(random), 0.6)
    assert fitted.base_digest == random.base_digest


def readout_of(run: Run) -> torch.nn.Linear:
    head: Any = run.head
    assert isinstance(head.readout, torch.nn.Linear)
    return head.readout


def test_a_regression_begins_with_the_mean_of_the_numbers(sources: Sources) -> None:
    run = begun(sources, task="stsb", batch_size=8)
    rows = run.train.take(spaced_rows(len(run.train), run.spec.calibration_rows))
    predicted = np.stack(compute_logits(run.head, rows, run.device))
    assert predicted.mean() == pytest.approx(float(rows.labels.mean()), abs=0.3)


def test_read_out_rows_of_label_words_can_be_fitted(sources: Sources) -> None:
    fields: dict[str, Any] = {"head": "label-words", "tier": "masks+extras", "train_biases": False}
    run = begun(sources, **fields, fit_readout=True)
    assert not run.spec.calibrate_logits
    assert accuracy(run) > 0.8
    plain = begun(sources, **fields, fit_readout=False)
    assert not torch.equal(readout_of(run).weight, readout_of(plain).weight)


def test_a_trained_classifier_is_kept(sources: Sources) -> None:
    run = begun(sources, model="tuned")
    untouched = load_model(locate_model("tuned", None, sources), ("negative", "positive"), "classifier")
    model: Any = untouched.model
    assert torch.equal(readout_of(run).weight, model.classifier.weight)


def test_the_same_run_twice_is_the_same(sources: Sources, tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        events = run_toy(sources, tmp_path / name, head="classifier", fit_readout=True, max_steps=3)
        found.append([event.metrics for event in of_kind(events, "evaluation")])
    assert found[0] == found[1]


def test_it_is_the_default_where_a_classifier_would_stay_random() -> None:
    given = {"model": "bert", "task": "sst2", "head": "classifier"}
    for fields, fitted in (
        ({"method": "wanda"}, True),
        ({"method": "magnitude", "one_shot": True}, True),
        ({"method": "wanda", "preset": "paper"}, False),
        ({"max_steps": 10}, False),
    ):
        spec = PruningSpec.model_validate({**given, **fields})
        assert (spec.fit_readout, spec.calibration_rows) == (fitted, 512 if fitted else 128)


@pytest.mark.parametrize("fields", [{"head": "label-words"}, {"task": "squad"}])
def test_heads_without_a_trained_read_out_refuse_it(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        PruningSpec.model_validate({"model": "bert", "task": "sst2", "max_steps": 10, "fit_readout": True, **fields})
    assert caught.value.errors()[0]["ctx"]["param"] == "fit_readout"


def test_a_token_classifier_is_fitted_to_tagged_tokens(tmp_path: Path) -> None:
    sources = make_sources(tmp_path)
    toy_datasets.write_splits(tmp_path / "datasets" / "tagged", {"train": tagged(160, 1), "validation": tagged(48, 2)})
    task = {"dataset": "tagged", "text": ["words"], "label": "tags", "kind": "token-classification"}
    found = []
    for fitted in (True, False):
        spec = spec_of(task=task, head="token-classifier", fit_readout=fitted)
        run = set_up(spec, sources, lambda event: None)
        found.append(run.evaluate("before", 0, lambda event: None)[0].metrics["token_accuracy"])
    assert found[0] > found[1] + 0.2


def test_a_dense_baseline_starts_where_the_mask_does(sources: Sources) -> None:
    run = begun(sources, baseline=True)
    dense = baseline.dense_head(run)
    assert torch.equal(dense.readout.weight, run.head.readout.weight)  # type: ignore[arg-type,union-attr]
