"""Logit calibration: classes start at their frequencies, regressions at the spread of their numbers; masks carry it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pruning.formats import mask_file
from pruning.inference.evaluation import evaluate_mask
from pruning.inference.pruned_model import load_pruned
from pruning.models.logit_calibration import LogitCalibration
from tests.pruning.runs import make_sources, run_toy


def random_logits(rows: int, classes: int, seed: int) -> np.ndarray[Any, Any]:
    source = np.random.default_rng(seed)
    return (source.normal(size=(rows, classes)) * 0.3 + source.normal(size=classes) * 4).astype(np.float32)


@pytest.mark.parametrize(("classes", "seed"), [(2, 0), (2, 1), (3, 2), (7, 3)])
def test_mean_logits_are_log_frequencies_and_differences_have_unit_spread(classes: int, seed: int) -> None:
    logits = random_logits(500, classes, seed)
    labels = np.random.default_rng(seed).choice(classes, 500, p=np.arange(1, classes + 1) / sum(range(1, classes + 1)))
    found = LogitCalibration.from_class_logits(logits, labels)
    calibrated = logits.astype(np.float64) * found.scale + np.array(found.offsets)
    shares = (np.bincount(labels, minlength=classes) + 1) / (500 + classes)
    np.testing.assert_allclose(calibrated.mean(axis=0), np.log(shares), atol=1e-4)
    added = calibrated - calibrated.mean(axis=0)
    assert (added - added.mean(axis=1, keepdims=True)).std() == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("slope", [0.02, -3.0])
def test_numbers_get_their_mean_and_spread_and_rise_with_the_label(slope: float) -> None:
    labels = np.linspace(0, 5, 200)
    logits = (slope * labels + 7 + np.random.default_rng(0).normal(size=200) * abs(slope) * 0.1)[:, np.newaxis]
    found = LogitCalibration.from_numbers(logits.astype(np.float32), labels)
    calibrated = logits[:, 0] * found.scale + found.offsets[0]
    assert calibrated.mean() == pytest.approx(labels.mean(), abs=1e-3)
    assert calibrated.std() == pytest.approx(labels.std(), rel=1e-3)
    assert np.corrcoef(calibrated, labels)[0, 1] > 0.9


def test_logits_that_do_not_depend_on_the_text_stay_finite() -> None:
    constant = np.full((20, 2), 3.0, dtype=np.float32)
    found = LogitCalibration.from_class_logits(constant, np.array([0, 1] * 10))
    assert np.isfinite([found.scale, *found.offsets]).all()
    with pytest.raises(ValueError, match="no rows"):
        LogitCalibration.from_class_logits(constant[:0], np.array([]))


def test_a_mask_carries_its_calibration_and_evaluates_as_in_training(tmp_path: Path) -> None:
    sources = make_sources(tmp_path / "toys")
    metrics: dict[str, Any] = {}
    for name, wanted in (("with", True), ("without", False)):
        run_toy(sources, tmp_path / name, max_steps=4, calibrate_logits=wanted)
        for file in ("mask.safetensors", "mask.espalier"):
            pruned = load_pruned(tmp_path / name / "artifacts" / file, sources=sources)
            assert evaluate_mask(pruned, sources) == pruned.info.metrics
            assert (pruned.info.logit_scale is not None) is wanted
            assert len(pruned.info.logit_offsets) == 2 * wanted
        metrics[name] = mask_file.read_info(tmp_path / name / "artifacts" / "mask.safetensors")
    assert metrics["with"].weights_sha256 is None  # nothing but the mask was trained
