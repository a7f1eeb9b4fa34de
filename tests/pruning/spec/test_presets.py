"""Presets: the options on which paper and reference code differ, and refusal of fields that contradict them."""

from typing import Any

import pytest
from pydantic import ValidationError

from pruning.spec.errors import error_details
from pruning.spec.presets import PRESETS
from pruning.spec.schema import PruningSpec


def spec(**fields: Any) -> PruningSpec:
    return PruningSpec.model_validate({"model": "m", "task": "sst2", **fields})


@pytest.mark.parametrize(
    ("preset", "pinned"),
    [
        ("paper", {"adam_epsilon": "corrected", "regularization_ramp": "sparsity", "temperature": 1, "surplus": "redistribute"}),
        ("upstream", {"adam_epsilon": "uncorrected", "regularization_ramp": "run", "surplus": "drop", "max_grad_norm": 1}),
        ("espalier", {"adam_epsilon": "uncorrected", "regularization_ramp": "run", "surplus": "redistribute"}),
    ],
)
def test_a_preset_fills_its_points_in(preset: str, pinned: dict[str, Any]) -> None:
    values = spec(preset=preset).model_dump()
    assert {name: values[name] for name in pinned} == pinned


@pytest.mark.parametrize(("preset", "field"), [(name, field) for name, points in PRESETS.items() for field in points])
def test_a_field_that_contradicts_the_preset_is_refused_and_one_that_agrees_is_not(preset: str, field: str) -> None:
    spec(preset=preset, **{field: PRESETS[preset][field]})
    others: dict[str, dict[Any, Any]] = {
        "adam_epsilon": {"corrected": "uncorrected", "uncorrected": "corrected"},
        "max_grad_norm": {1.0: 2.0},
        "regularization_ramp": {"run": "sparsity", "sparsity": "run"},
        "temperature": {1.0: 4.0},
        "surplus": {"drop": "redistribute", "redistribute": "drop"},
    }
    other = others[field][PRESETS[preset][field]]
    with pytest.raises(ValidationError) as caught:
        spec(preset=preset, **{field: other})
    (fault,) = error_details(caught.value)
    assert (fault["param"], fault["code"]) == (field, "preset_conflict")


def test_what_a_preset_leaves_open_can_be_set() -> None:
    assert spec(preset="upstream", temperature=4, sparsity=0.3).temperature == 4
    assert spec(preset="paper", regularization=10).regularization == 10


def test_upstream_trains_rte_for_a_hundred_epochs_and_scrambles_the_words_of_mnli() -> None:
    assert spec(preset="upstream", task="rte").epochs == 100
    assert spec(preset="upstream", task="rte", epochs=3).epochs == 3
    assert spec(preset="upstream", task="rte", max_steps=30).epochs is None
    assert spec(preset="paper", task="rte").epochs == 60
    assert spec(preset="upstream", task="mnli").label_words == ("Maybe", "No", "Yes")
    assert spec(task="mnli").label_words == ("Yes", "Maybe", "No")


@pytest.mark.parametrize("preset", [[], {}, 3, None, "unheard"])
def test_a_preset_that_is_none_is_refused_by_name(preset: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        spec(preset=preset)
    assert error_details(caught.value)[0]["param"] == "preset"


def test_the_given_values_are_left_alone() -> None:
    given = {"model": "m", "task": "sst2", "preset": "paper"}
    PruningSpec.model_validate(given)
    assert given == {"model": "m", "task": "sst2", "preset": "paper"}
