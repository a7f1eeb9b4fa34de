"""Class weights in a run: torch's weighted mean over whole steps, balanced weights of the rows that are used, and the report."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from pruning.models.logit_calibration import LogitCalibration
from pruning.models.readout_fit import fit_readout
from pruning.report.page import HTML_REPORT, JSON_REPORT
from pruning.sources import Sources
from pruning.training import losses
from pruning.training.baseline import dense_head
from pruning.training.class_weights import ROW_WEIGHTS
from pruning.training.losses import loss_function
from pruning.training.run import Run
from pruning.training.setup import set_up
from tests import toy_architectures
from tests.pruning.runs import make_sources, of_kind, run_toy, same_masks, spec_of
from tests.toy_datasets import TOPICS, opinions, topics, write_splits

TASK: dict[str, Any] = {"dataset": "uneven", "text": ["sentence"], "label": "label", "labels": ["good", "bad", "odd"]}
WEIGHTS = (0.25, 3.0, 1.5)
LABELS: dict[str, Any] = {"dataset": "topics", "text": ["text"], "label": "topics", "kind": "multilabel", "labels": list(TOPICS)}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """``uneven``: of 60 training rows 45 of class 0 and 15 of class 1, the first 20 of class 0; class 2 has none."""
    root = tmp_path_factory.mktemp("toys")
    sources = make_sources(root)
    rows = [{**row, "label": int(i >= 20 and i % 8 < 3)} for i, row in enumerate(opinions(60, 1))]
    write_splits(root / "datasets" / "uneven", {"train": rows, "validation": rows[20:52]})
    write_splits(root / "datasets" / "topics", {"train": topics(96, 1), "validation": topics(48, 2)})
    toy_architectures.make_classifier(root / "models" / "teacher", ["bad", "good", "odd"])
    return sources


def run_of(sources: Sources, **fields: Any) -> Run:
    given = {"task": TASK, "head": "classifier", "dropout": 0.0, "class_weights": list(WEIGHTS), **fields}
    return set_up(spec_of(**given), sources, lambda event: None)


def test_rows_with_weights_make_the_weighted_mean_of_torch() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(7, 3, dtype=torch.float64), torch.tensor([0, 0, 1, 0, 2, 1, 0])
    weight = torch.tensor(WEIGHTS, dtype=torch.float64)
    rows = weight[labels] / weight[labels].mean()
    expected = functional.cross_entropy(logits, labels, weight=weight)
    torch.testing.assert_close(losses.classification(logits, labels, rows), expected, rtol=1e-12, atol=0)
    assert not torch.isclose(losses.classification(logits, labels), expected)


@pytest.mark.parametrize(
    ("batch", "parts", "preset"),
    [(60, 1, "espalier"), (25, 3, "espalier"), (15, 4, "espalier"), (7, 2, "espalier"), (15, 4, "paper")],
)
def test_a_step_has_the_weighted_mean_of_all_its_rows(sources: Sources, batch: int, parts: int, preset: str) -> None:
    run = run_of(sources, batch_size=batch, gradient_accumulation=parts, preset=preset)
    run.head.eval()
    batches = run.micro_batches(0)
    with torch.no_grad():
        found = sum(float(run.pruner.loss_of(part)) for part in batches) / parts
        outputs = [run.head(**{k: v for k, v in part.items() if k not in losses.NOT_INPUTS}) for part in batches]
    labels = torch.cat([part["labels"] for part in batches])
    assert len(set(labels.tolist())) == 2
    expected = functional.cross_entropy(torch.cat(outputs), labels, weight=torch.tensor(WEIGHTS))
    assert found == pytest.approx(float(expected), rel=1e-5)


def test_equal_weights_are_none_and_only_their_ratio_counts(sources: Sources, tmp_path: Path) -> None:
    steps: dict[str, Any] = {"task": TASK, "max_steps": 6, "dropout": 0.0, "head": "classifier"}
    plain = run_toy(sources, tmp_path / "plain", **steps)
    of_ones = run_toy(sources, tmp_path / "ones", **steps, class_weights=[1, 1, 1])
    skewed = [run_toy(sources, tmp_path / f"{k}", **steps, class_weights=[k, 4 * k, k]) for k in (1, 8)]
    losses_of = [of_kind(events, "step")[-1].loss for events in (plain, of_ones, *skewed)]
    assert losses_of[0] == pytest.approx(losses_of[1], rel=1e-5)
    assert losses_of[2] == losses_of[3] != losses_of[0]
    assert same_masks(tmp_path / "1", tmp_path / "8")


def test_the_distilled_share_of_the_loss_is_not_weighted(sources: Sources) -> None:
    fields = {"teacher": "teacher", "batch_size": 25, "gradient_accumulation": 3}
    run = run_of(sources, **fields, distill_share=0.25)
    run.head.eval()
    batches = run.micro_batches(0)
    with torch.no_grad():
        found = sum(float(run.pruner.loss_of(part)) for part in batches) / len(batches)
        outputs = [run.head(**{k: v for k, v in part.items() if k not in losses.NOT_INPUTS}) for part in batches]
    logits, teacher, labels = (
        torch.cat(parts) for parts in (outputs, [b["teacher"] for b in batches], [b["labels"] for b in batches])
    )
    task = functional.cross_entropy(logits, labels, weight=torch.tensor(WEIGHTS))
    expected = 0.25 * losses.distillation(logits, teacher, run.spec.distill_temperature) + 0.75 * task
    assert found == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(
    ("fields", "rows", "weights"),
    [
        ({}, (45, 15, 0), (60 / (2 * 45), 60 / (2 * 15), None)),
        ({"train_rows": 28}, (25, 3, 0), (28 / (2 * 25), 28 / (2 * 3), None)),
        ({"train_rows": 20}, (20, 0, 0), (1.0, None, None)),
    ],
)
def test_balanced_weights_are_those_of_the_rows_that_are_used(
    sources: Sources, fields: dict[str, Any], rows: tuple[int, ...], weights: tuple[float | None, ...]
) -> None:
    events: list[Any] = []
    spec = spec_of(task=TASK, head="classifier", class_weights="balanced", **fields)
    run = set_up(spec, sources, events.append)
    assert run.class_weights is not None
    table = run.class_weights.table(run.task)
    assert [row["class"] for row in table] == TASK["labels"]
    assert [row["rows"] for row in table] == list(rows)
    assert [row["weight"] for row in table] == [w if w is None else pytest.approx(w) for w in weights]
    warned = [event.message for event in of_kind(events, "log") if event.level == "warning"]
    for name, weight in zip(TASK["labels"], weights, strict=True):
        assert any(name in message for message in warned) is (weight is None)


def test_balanced_weights_leave_out_what_is_held_out(sources: Sources) -> None:
    run = run_of(sources, class_weights="balanced", validation_share=0.2)
    assert run.class_weights is not None
    assert len(run.train) == 48
    counts = np.bincount(run.train.labels.numpy(), minlength=3)
    assert run.class_weights.rows == tuple(counts)
    assert run.class_weights.values[:2] == pytest.approx(48 / (2 * counts[:2]))


def test_weights_of_labels_are_those_of_the_rows_that_have_them(sources: Sources) -> None:
    run = run_of(sources, task=LABELS, class_weights="balanced", batch_size=16)
    assert run.class_weights is not None
    counts = run.train.labels.numpy().sum(axis=0)
    assert run.class_weights.values == pytest.approx((96 - counts) / counts)
    batch = run.batch(0, 0)
    assert ROW_WEIGHTS not in batch
    run.head.eval()
    with torch.no_grad():
        logits = run.head(**{k: v for k, v in batch.items() if k not in losses.NOT_INPUTS})
        found = run.pruner.loss_of(batch)
    weight = torch.tensor(run.class_weights.values)
    expected = functional.binary_cross_entropy_with_logits(logits, batch["labels"], pos_weight=weight)
    torch.testing.assert_close(found, expected)
    everywhere = run_of(sources, task=LABELS, train_rows=1, class_weights="balanced")
    assert everywhere.class_weights is not None
    assert everywhere.class_weights.undetermined == tuple(range(len(TOPICS)))


def test_a_read_out_starts_at_the_weighted_frequencies() -> None:
    random = np.random.default_rng(0)
    labels = np.array([0] * 30 + [1] * 10)
    logits, features = random.normal(size=(40, 2)), random.normal(size=(40, 5))
    log_weights = np.log([0.5, 4.0])
    plain = LogitCalibration.from_class_logits(logits, labels)
    shifted = LogitCalibration.from_class_logits(logits, labels, log_weights)
    assert shifted.scale == plain.scale
    assert np.array(shifted.offsets) - np.array(plain.offsets) == pytest.approx(log_weights, rel=1e-5)
    fits = [fit_readout(features, labels, "classification", 2, given) for given in (None, log_weights)]
    assert (fits[0].weight == fits[1].weight).all()
    assert fits[1].bias - fits[0].bias == pytest.approx(log_weights, rel=1e-5)


def test_a_run_shows_its_weights_and_its_baseline_has_the_same(sources: Sources, tmp_path: Path, captured: list[Run]) -> None:
    events = run_toy(sources, tmp_path, task=TASK, class_weights="balanced", max_steps=4, baseline=True, head="classifier")
    (started,) = of_kind(events, "started")
    assert started.class_weights == pytest.approx([60 / 90, 2.0, 1.0])
    report = json.loads((tmp_path / "artifacts" / JSON_REPORT).read_text())
    assert [row["weight"] for row in report["data"]["class_weights"]] == [pytest.approx(60 / 90), 2.0, None]
    assert report["spec"]["class_weights"] == "balanced"
    page = (tmp_path / "artifacts" / HTML_REPORT).read_text()
    assert "Class weights" in page
    assert "do not determine" in page
    (run,) = captured
    head, batch = dense_head(run).eval(), run.batch(0, 0)
    with torch.no_grad():
        logits = head(**{k: v for k, v in batch.items() if k not in losses.NOT_INPUTS})
        found = loss_function(head, run.task, run.spec, run.device, run.class_weights)(batch)
    weight = torch.tensor(started.class_weights)
    assert float(found) == pytest.approx(float(functional.cross_entropy(logits, batch["labels"], weight=weight)), rel=1e-5)


def test_a_run_without_weights_shows_none(sources: Sources, tmp_path: Path) -> None:
    events = run_toy(sources, tmp_path, max_steps=2)
    assert of_kind(events, "started")[0].class_weights is None
    assert json.loads((tmp_path / "artifacts" / JSON_REPORT).read_text())["data"]["class_weights"] is None
    assert "Class weights" not in (tmp_path / "artifacts" / HTML_REPORT).read_text()
