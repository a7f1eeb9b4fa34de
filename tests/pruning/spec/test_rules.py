"""Combinations of fields that could only fail later are refused at once, with the field to change."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from pruning.spec.errors import error_details
from pruning.spec.methods import METHODS
from pruning.spec.schema import PruningSpec


def spec(**fields: Any) -> PruningSpec:
    return PruningSpec.model_validate({"model": "m", "task": "sst2", **fields})


def fault(**fields: Any) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        spec(**fields)
    (found,) = error_details(caught.value)
    return found


WANDA, RANDOM, ONE_SHOT = {"method": "wanda"}, {"method": "random"}, {"method": "magnitude", "one_shot": True}


@pytest.mark.parametrize("method", [WANDA, RANDOM, ONE_SHOT], ids=str)
@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"epochs": 3}, "max_steps"),
        ({"max_steps": 3}, "max_steps"),
        ({"train_biases": True}, "train_biases"),
        ({"teacher": "t"}, "teacher"),
        ({"devices": 2}, "devices"),
        ({"baseline": True}, "baseline"),
    ],
)
def test_what_does_not_train_has_no_length_and_nothing_to_train(method: dict[str, Any], fields: dict[str, Any], param: str) -> None:
    found = fault(**method, **fields)
    assert found["param"] == param
    assert str(method["method"]) in found["message"]
    assert spec(**method).trains_nothing


def test_devices_need_rows_to_share_and_nothing_drawn_at_random() -> None:
    assert spec(devices=2).devices == 2
    assert fault(devices=2, method="l0")["param"] == "devices"
    assert fault(devices=9, batch_size=8)["param"] == "devices"


@pytest.mark.parametrize("method", sorted(METHODS))
def test_one_shot_is_an_option_of_magnitude_alone(method: str) -> None:
    if method == "magnitude":
        assert spec(method=method, one_shot=True).epochs is None
    else:
        assert fault(method=method, one_shot=True)["param"] == "one_shot"


@pytest.mark.parametrize("method", sorted(METHODS))
def test_pattern_two_four_halves_and_needs_a_ranking(method: str) -> None:
    if not METHODS[method].two_four:
        assert fault(method=method, pattern="2:4")["param"] == "pattern"
        return
    assert spec(method=method, pattern="2:4").sparsity == 0.5
    found = fault(method=method, pattern="2:4", sparsity=0.9)
    assert found["param"] == "sparsity"
    assert "0.5" in found["message"]


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_prior_is_an_option_of_the_smp_methods(method: str) -> None:
    if method.startswith("smp-"):
        assert spec(method=method, prior="wanda").prior_strength == 1.5
    else:
        assert fault(method=method, prior="wanda")["param"] == "prior"


START = "job_" + "0" * 26


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_run_starts_from_a_mask_where_its_method_takes_a_prior(method: str) -> None:
    if METHODS[method].takes_prior:
        assert spec(method=method, init_from=START).init_from == START
        assert spec(method=method, init_from="0" * 64).init_from == "0" * 64
    else:
        assert fault(method=method, init_from=START)["param"] == "init_from"


@pytest.mark.parametrize(
    "fields",
    [
        {"prior": None},
        {"preset": "paper"},
        {"learning_rate": 0},
        {"sparsity_by": {"*": 0.5}},
        {"init_from": "last"},
        {"init_from": "JOB_" + "0" * 26},
        {"init_from": "../mask.safetensors"},
        {"init_from": START + "\n"},
    ],
    ids=str,
)
def test_a_start_without_prior_or_learning_rate_or_that_is_no_id_is_refused(fields: dict[str, Any]) -> None:
    assert fault(**{"init_from": START, **fields})["param"] == "init_from"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"task": "squad", "head": "label-words"}, "head"),
        ({"task": "squad", "head": "classifier"}, "head"),
        ({"head": "span"}, "head"),
        ({"task": "squad", "stride": 384}, "stride"),
        ({"task": "squad", "max_length": 64}, "stride"),
        ({"teacher_labels": ["negative", "positive"]}, "teacher_labels"),
        ({"task": "stsb", "teacher": "t"}, "teacher"),
        ({"teacher": "../t"}, "teacher"),
        ({"teacher": "t", "distill_share": 0}, "distill_share"),
        ({"teacher": "t", "distill_temperature": 0}, "distill_temperature"),
        ({"method": "soft-movement", "threshold": 0.5}, "threshold"),
        ({"calibration_rows": 0}, "calibration_rows"),
        ({"prior": "wanda", "prior_strength": 0}, "prior_strength"),
        ({"tier": "masks+extras", "method": "wanda"}, "tier"),
        ({"tier": "masks+extras", "method": "movement"}, "tier"),
        ({"tier": "masks+extras", "method": "magnitude", "one_shot": True}, "tier"),
        ({"tier": "masks+half"}, "tier"),
        ({"tier": "masks+extras", "train_biases": False, "train_readout": False}, "tier"),
        ({"method": "random", "train_readout": True}, "train_readout"),
        ({"weight_learning_rate": 0}, "weight_learning_rate"),
        ({"prior": "sparsegpt"}, "prior"),
    ],
)
def test_what_cannot_go_together_is_refused_by_field(fields: dict[str, Any], param: str) -> None:
    assert fault(**fields)["param"] == param


@pytest.mark.parametrize(
    "fields",
    [
        {"task": "squad"},
        {"task": "squad", "teacher": "t"},
        {"task": "squad", "max_length": 129},
        {"stride": 500},
        {"teacher": "t", "teacher_labels": ["positive", "negative"]},
        {"head": "classifier"},
        {"head": "classifier", "teacher": "t"},
        {"task": "stsb", "head": "classifier"},
        {"method": "movement", "teacher": "t", "train_biases": True},
        {"method": "wanda", "pattern": "2:4", "calibration_rows": 5},
        {"prior": "wanda", "pattern": "2:4", "train_biases": True},
        {"regularization": 0},
        {"method": "magnitude", "pattern": "2:4", "one_shot": True},
        {"init_from": "job_" + "0" * 26, "preset": "upstream", "prior": "wanda"},
        {"tier": "masks+extras"},
        {"tier": "masks+extras", "train_readout": False, "pattern": "2:4"},
        {"task": "squad", "tier": "masks+extras"},
        {"head": "classifier", "tier": "masks+extras"},
    ],
    ids=str,
)
def test_what_goes_together_is_let_through_and_resolves_to_itself(fields: dict[str, Any]) -> None:
    resolved = spec(**fields)
    assert PruningSpec.model_validate_json(resolved.model_dump_json()) == resolved


@pytest.mark.parametrize("fields", [{}, {"train_biases": False}, {"train_readout": False}], ids=str)
def test_a_tier_decides_what_is_trained_unless_fields_override_it(fields: dict[str, Any]) -> None:
    both = {"train_biases": True, "train_readout": True}
    given = spec(tier="masks+extras", **fields)
    assert {name: getattr(given, name) for name in both} == both | fields
    assert not spec(**fields).train_biases
    assert not spec(**fields).train_readout


@pytest.mark.parametrize(
    ("fields", "rate"),
    [
        ({}, 1e-3),
        ({"tier": "masks+extras"}, 1e-3),
        ({"head": "classifier"}, 1e-3),
        ({"preset": "paper", "train_biases": True}, 1e-3),
        ({"method": "movement"}, 3e-5),
        ({"method": "magnitude", "head": "classifier"}, 3e-5),
        ({"method": "magnitude", "one_shot": True}, 1e-3),
    ],
    ids=str,
)
def test_small_parts_are_trained_faster_than_masked_weights(fields: dict[str, Any], rate: float) -> None:
    assert spec(**fields).weight_learning_rate == rate


def test_the_head_follows_the_task() -> None:
    assert spec(task="squad").head == "span"
    assert spec(task="stsb").head == "label-words"


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"method": "soft-movement"}, "soft-movement"),
        ({"method": "l0"}, "l0"),
        ({"preset": "upstream"}, "surplus"),
        ({"surplus": "drop"}, "surplus"),
        ({"pattern": "2:4"}, "2:4"),
    ],
)
def test_a_sparsity_of_single_matrices_needs_one_that_is_asked_for_and_kept(fields: dict[str, Any], word: str) -> None:
    found = fault(**fields, max_steps=50, sparsity_by={"*.query": 0.8})
    assert found["param"] == "sparsity_by"
    assert word in found["message"]


@pytest.mark.parametrize(
    "fields",
    [
        {"method": "smp-l", "preset": "upstream"},
        {"preset": "paper"},
        {"method": "magnitude"},
        {"method": "smp-g"},
        {"pattern": "2:4", "sparsity_by": {"*.query": 0, "*.key": 0.5}},
    ],
)
def test_a_sparsity_of_single_matrices_resolves_to_itself(fields: dict[str, Any]) -> None:
    found = spec(max_steps=50, **{"sparsity_by": {"*.query": 0.8, "layer.0.*": 0}, **fields})
    assert spec(**found.model_dump(mode="json")) == found
    assert found.sparsity_by["*.query"] in (0, 0.8)


@pytest.mark.parametrize("value", [1, -0.1, "a", None])
def test_a_sparsity_of_a_matrix_is_a_share_below_one(value: Any) -> None:
    assert fault(max_steps=50, sparsity_by={"*.query": value})["param"] == "sparsity_by.*.query"


def test_a_plug_in_that_does_not_say_how_it_counts_takes_no_sparsity_of_single_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "smp-l", replace(METHODS["smp-l"], counted_by=None))
    assert fault(method="smp-l", max_steps=50, sparsity_by={"*": 0.9})["param"] == "sparsity_by"


def test_only_a_sequence_classifier_pools() -> None:
    for pooling in ("first", "mean", None):
        assert spec(head="classifier", pooling=pooling).pooling == pooling
    assert spec(head="classifier").pooling is None
    labels = {"dataset": "d", "text": ["t"], "label": "l", "kind": "multilabel", "labels": ["a", "b"]}
    assert spec(task=labels, pooling="mean").head == "classifier"
    tags = {"dataset": "d", "text": ["t"], "label": "l", "kind": "token-classification"}
    for fields in ({}, {"task": "squad"}, {"task": tags}):
        found = fault(**fields, pooling="mean")
        assert (found["param"], found["code"]) == ("pooling", "spec_conflict")
        assert ("to classifier" in found["message"]) is (not fields)
    assert fault(head="classifier", pooling="max")["param"] == "pooling"
