"""Runs that start from a mask: the first mask is that mask bit for bit, the ramp begins at its density, and what does not fit is
refused before any training."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pruning.errors import PermanentError, StoppedError
from pruning.events import LogEvent, StartedEvent
from pruning.formats import mask_file
from pruning.masking.methods.mask_start import OFFSET, MaskStart
from pruning.sources import Sources
from pruning.training.setup import set_up
from pruning.training.train import train
from tests.pruning.runs import arguments_of, fork, make_sources, run_toy, spec_of

SHORT: dict[str, Any] = {"max_steps": 6, "ramp": 0.5}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    return make_sources(tmp_path_factory.mktemp("toys"))


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory, sources: Sources) -> dict[str, Path]:
    """A mask of each kind, by name."""
    folder = tmp_path_factory.mktemp("masks")
    runs: dict[str, dict[str, Any]] = {
        "smp-s": {"method": "smp-s", "sparsity": 0.9},
        "smp-l": {"method": "smp-l", "sparsity": 0.9},
        "smp-g": {"method": "smp-g", "sparsity": 0.9},
        "2:4": {"method": "smp-s", "pattern": "2:4", "sparsity": 0.5},
        "classifier": {"head": "classifier", "sparsity": 0.8},
    }
    for name, fields in runs.items():
        run_toy(sources, folder / name, **SHORT, **fields)
    return {name: folder / name / "artifacts" / "mask.safetensors" for name in runs}


def started(sources: Sources, mask: Path, **fields: Any) -> tuple[Sources, dict[str, Any]]:
    """Sources with the mask, and the fields of a spec that starts from it."""
    digest = hashlib.sha256(mask.read_bytes()).hexdigest()
    return replace(sources, init_mask=mask), {**SHORT, "init_from": digest, **fields}


@pytest.mark.parametrize(
    ("start", "fields"),
    [
        ("smp-s", {"method": "smp-s", "sparsity": 0.97}),
        ("smp-s", {"method": "smp-s", "sparsity": 0.5}),
        ("smp-l", {"method": "smp-l", "sparsity": 0.97}),
        ("smp-g", {"method": "smp-g", "sparsity": 0.97}),
        ("smp-s", {"method": "smp-g", "sparsity": 0.97}),
        ("2:4", {"method": "smp-s", "pattern": "2:4", "sparsity": 0.5}),
        ("2:4", {"method": "smp-l", "sparsity": 0.9}),
    ],
)
def test_the_first_mask_is_the_start_mask_and_saliency_orders_both_parts(
    sources: Sources, masks: dict[str, Path], start: str, fields: dict[str, Any]
) -> None:
    given, spec = started(sources, masks[start], **fields)
    run = set_up(spec_of(**spec), given, lambda event: None)
    expected, info = mask_file.read(masks[start])
    share = run.pruner.schedule.remaining(0)
    assert share == pytest.approx(info.density, abs=1e-3)
    assert run.pruner.schedule.remaining_final == run.spec.remaining
    assert sum(run.pruner.select(share)) == sum(info.kept.values())
    for path, mask in run.matrices.masks.items():
        np.testing.assert_array_equal(mask.numpy(), expected[path], path)

    plain = set_up(spec_of(**{**spec, "init_from": None}), sources, lambda event: None)
    for path, layer in run.matrices.layers.items():
        prior = plain.matrices.layers[path].scores.flatten().numpy()  # in the order of saliency
        scores, kept = layer.scores.flatten().numpy(), expected[path].flatten()
        for part in (kept, ~kept):
            order = np.argsort(prior[part], kind="stable")
            assert (np.diff(scores[part][order]) >= 0).all()
        if kept.any() and not kept.all():
            gap = scores[kept].min() - scores[~kept].max()
            assert gap >= 0.99 * OFFSET * run.pruner.schedule.score_noise


def test_a_mask_of_another_allocation_is_logged_with_its_difference(
    sources: Sources, masks: dict[str, Path], tmp_path: Path
) -> None:
    given, spec = started(sources, masks["smp-s"], method="smp-l", sparsity=0.97)
    events: list[Any] = []
    train(spec_of(**spec), tmp_path, given, events.append)
    (note,) = (event.message for event in events if isinstance(event, LogEvent) and "started from" in event.message)
    before = mask_file.read(masks["smp-s"])[0]
    first = set_up(spec_of(**spec), given, lambda event: None)
    first.pruner.select(first.pruner.schedule.remaining(0))
    other = sum(int((mask.numpy() != before[path]).sum()) for path, mask in first.matrices.masks.items())
    assert other > 0
    assert f"differs from it in {other:,} weights" in note


@pytest.mark.parametrize("sparsity", [0.97, 0.6])
def test_a_run_ends_at_its_own_sparsity_above_and_below_the_start(
    sources: Sources, masks: dict[str, Path], tmp_path: Path, sparsity: float
) -> None:
    given, fields = started(sources, masks["smp-s"], sparsity=sparsity)
    events: list[Any] = []
    train(spec_of(**fields), tmp_path, given, events.append)
    notes = [event.message for event in events if isinstance(event, LogEvent)]
    assert any("the first mask is the same" in note for note in notes)
    found, info = mask_file.read(tmp_path / "artifacts" / "mask.safetensors")
    assert info.density == pytest.approx(1 - sparsity, abs=1e-3)
    assert info.spec.init_from == fields["init_from"]
    report = json.loads((tmp_path / "artifacts" / "report.json").read_text())
    assert report["start"]["from"] == report["start"]["sha256"] == fields["init_from"]
    assert f"It started from the mask of {fields['init_from']}" in (tmp_path / "artifacts" / "report.html").read_text()
    start = mask_file.read(masks["smp-s"])[0]
    overlap = sum(int((found[path] & mask).sum()) for path, mask in start.items())
    smaller = min(sum(int(mask.sum()) for mask in each.values()) for each in (found, start))
    assert overlap > 0.9 * smaller  # it is that mask with weights taken away, or given back


def test_a_stopped_run_goes_on_to_the_same_mask_and_says_its_start_once(
    sources: Sources, masks: dict[str, Path], tmp_path: Path
) -> None:
    given, fields = started(sources, masks["smp-s"], sparsity=0.97)
    train(spec_of(**fields), tmp_path / "whole", given, lambda event: None)
    events: list[Any] = []
    with pytest.raises(StoppedError):
        train(spec_of(**fields), tmp_path / "parts", given, events.append, lambda: True)
    train(spec_of(**fields), tmp_path / "parts", given, events.append)
    ends = [event.resumed_from for event in events if isinstance(event, StartedEvent)]
    assert ends == [0, 1]
    assert sum("started from" in event.message for event in events if isinstance(event, LogEvent)) == 1
    whole, parts = ((tmp_path / name / "artifacts" / "mask.safetensors").read_bytes() for name in ("whole", "parts"))
    assert whole == parts


@pytest.mark.parametrize(
    ("start", "fields", "code"),
    [
        ("smp-s", {"model": "roberta"}, "base_mismatch"),
        ("smp-s", {"head": "classifier"}, "base_mismatch"),
        ("classifier", {}, "base_mismatch"),
        ("smp-s", {"pattern": "2:4", "sparsity": 0.5}, "pattern_unfit"),
        ("smp-s", {"init_from": "0" * 64}, "mask_invalid"),
    ],
)
def test_a_start_that_does_not_fit_is_refused_before_training(
    sources: Sources, masks: dict[str, Path], start: str, fields: dict[str, Any], code: str
) -> None:
    given, spec = started(sources, masks[start], **fields)
    with pytest.raises(PermanentError) as refusal:
        set_up(spec_of(**spec), given, lambda event: None)
    assert (refusal.value.code, refusal.value.param) == (code, "init_from")


def test_a_mask_that_is_not_here_or_damaged_is_refused(sources: Sources, masks: dict[str, Path], tmp_path: Path) -> None:
    job = "job_" + "0" * 26
    with pytest.raises(PermanentError) as missing:
        set_up(spec_of(init_from=job), sources, lambda event: None)
    assert (missing.value.code, missing.value.param) == ("start_missing", "init_from")
    damaged = tmp_path / job / "mask.safetensors"
    damaged.parent.mkdir()
    damaged.write_bytes(masks["smp-s"].read_bytes()[:-1])
    with pytest.raises(PermanentError) as invalid:
        set_up(spec_of(init_from=job), replace(sources, uploads_dir=tmp_path), lambda event: None)
    assert (invalid.value.code, invalid.value.param) == ("mask_invalid", "init_from")


def test_the_program_takes_a_mask_file_and_puts_its_digest_into_the_spec(
    sources: Sources, masks: dict[str, Path], tmp_path: Path
) -> None:
    mask = masks["smp-s"].with_name("mask.espalier")
    program = fork(arguments_of(tmp_path / "run", {**SHORT, "sparsity": 0.97}, sources, "--init-mask", str(mask)), tmp_path)
    assert program.finish().code == 0
    _, info = mask_file.read(tmp_path / "run" / "artifacts" / "mask.safetensors")
    assert info.spec.init_from == hashlib.sha256(mask.read_bytes()).hexdigest()
    nothing = arguments_of(tmp_path / "none", SHORT, sources, "--init-mask", str(tmp_path / "none.safetensors"))
    missing = fork(nothing, tmp_path / "logs")
    assert missing.finish().last.code == "spec_unreadable"


def test_other_weights_trained_by_the_earlier_run_are_left_with_a_warning(
    sources: Sources, masks: dict[str, Path], tmp_path: Path
) -> None:
    given, fields = started(sources, masks["classifier"], head="classifier", sparsity=0.9)
    events: list[Any] = []
    train(spec_of(**fields), tmp_path, given, events.append)
    (warning,) = (event.message for event in events if isinstance(event, LogEvent) and "not taken over" in event.message)
    assert warning


def test_without_the_field_the_method_starts_as_before(sources: Sources) -> None:
    run = set_up(spec_of(**SHORT), sources, lambda event: None)
    assert not isinstance(run.pruner.method, MaskStart)
    assert run.pruner.schedule.remaining(0) == 1.0
