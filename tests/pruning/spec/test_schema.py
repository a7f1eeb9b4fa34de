"""Spec schema: defaults are resolved, JSON round trips, and faults name the field to change."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pruning.spec.errors import error_details
from pruning.spec.schema import PruningSpec
from pruning.spec.tasks import TASKS

CUSTOM: dict[str, Any] = {"dataset": "org/tickets", "text": ["body"], "label": "queue", "label_words": ["Yes", "No"]}
SPECS: list[dict[str, Any]] = [
    {},
    {"task": "mnli", "preset": "upstream"},
    {"task": "rte", "preset": "upstream"},
    {"task": "rte", "preset": "paper"},
    {"task": "stsb", "max_steps": 100},
    {"task": CUSTOM, "method": "smp-l"},
    {"sparsity": 0.97, "ramp": 0.3, "hold": 0.2},
    {"task": "mnli", "preset": "upstream", "label_words": ["a", "b", "c"]},
    {"revision": "refs/pr/1", "dropout": 0},
    {"task": {**CUSTOM, "kind": "regression", "label_words": ["Yes"], "metric": "spearman"}},
    {"preset": "upstream", "max_steps": 10, "task": "rte"},
    {"ramp": 1},
    {"regularization": 0},
    {"epochs": 0.5},
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def spec(**fields: Any) -> PruningSpec:
    return PruningSpec.model_validate({"model": "org/m", "task": "sst2", **fields})


def faults(**fields: Any) -> list[dict[str, str]]:
    with pytest.raises(ValidationError) as caught:
        spec(**fields)
    return error_details(caught.value)


@pytest.mark.parametrize("fields", SPECS, ids=str)
def test_a_resolved_spec_resolves_to_itself_and_survives_json(fields: dict[str, Any]) -> None:
    resolved = spec(**fields)
    assert PruningSpec.model_validate(resolved.model_dump()) == resolved
    assert PruningSpec.model_validate_json(resolved.model_dump_json()) == resolved
    assert json.loads(resolved.model_dump_json()) == resolved.model_dump(mode="json")


def test_only_model_and_task_are_needed() -> None:
    assert PruningSpec.model_json_schema()["required"] == ["model", "task"]
    assert {fault["param"] for fault in _explained({})} >= {"model", "task"}


def _explained(given: Any) -> list[dict[str, str]]:
    with pytest.raises(ValidationError) as caught:
        PruningSpec.model_validate(given)
    return error_details(caught.value)


@pytest.mark.parametrize("task", sorted(set(TASKS) - {"squad", "squad_v2"}))
def test_defaults_follow_the_task(task: str) -> None:
    found, table = spec(task=task), TASKS[task]
    assert (found.epochs, found.batch_size, found.max_length) == (table.epochs, table.batch_size, table.max_length)
    assert found.label_words == table.label_words
    assert found.head == "label-words"
    assert (found.method, found.learning_rate, found.regularization) == ("smp-s", 2e-2, 400)
    assert found.ramp + found.hold == 1


def test_steps_replace_epochs() -> None:
    assert spec(max_steps=7).epochs is None
    assert spec().max_steps is None


@pytest.mark.parametrize(("sparsity", "remaining"), [(0.9, 0.1), (0.97, 0.03), (0, 1), (0.7, 0.3), (0.5, 0.5)])
def test_what_remains_is_not_off_by_a_rounding_error(sparsity: float, remaining: float) -> None:
    assert spec(sparsity=sparsity).remaining == remaining


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"model": "../etc/passwd"}, "model"),
    ({"model": "a/b/c"}, "model"),
    ({"model": ""}, "model"),
    ({"model": "a..b"}, "model"),
    ({"model": "x" * 201}, "model"),
    ({"model": 3}, "model"),
    ({"model": "http://h/m"}, "model"),
    ({"model": "/abs"}, "model"),
    ({"revision": "-x"}, "revision"),
    ({"revision": "a b"}, "revision"),
    ({"task": "imdb"}, "task"),
    ({"task": 3}, "task"),
    ({"task": None}, "task"),
    ({"task": {**CUSTOM, "text": []}}, "task.text"),
    ({"task": {**CUSTOM, "text": ["a", "b", "c"]}}, "task.text"),
    ({"task": {**CUSTOM, "dataset": "../x"}}, "task.dataset"),
    ({"task": {**CUSTOM, "metric": "bleu"}}, "task.metric"),
    ({"task": {**CUSTOM, "unheard": 1}}, "task.unheard"),
    ({"task": {**CUSTOM, "kind": "regression"}}, "task.label_words"),
    ({"task": {**CUSTOM, "label_words": ["Yes"]}}, "task.label_words"),
    ({"task": {**CUSTOM, "metric": "pearson"}}, "task.metric"),
    ({"task": {**CUSTOM, "kind": "regression", "label_words": ["Yes"], "metric": "f1"}}, "task.metric"),
    ({"preset": "mine"}, "preset"),
    ({"method": "lottery"}, "method"),
    ({"pattern": "4:8"}, "pattern"),
    ({"sparsity": 1}, "sparsity"),
    ({"sparsity": -0.1}, "sparsity"),
    ({"sparsity": float("nan")}, "sparsity"),
    ({"sparsity": "most"}, "sparsity"),
    ({"sparsity": None}, "sparsity"),
    ({"max_steps": 0}, "max_steps"),
    ({"max_steps": 1.5}, "max_steps"),
    ({"max_steps": 10, "epochs": 1}, "epochs"),
    ({"epochs": None}, "epochs"),
    ({"epochs": 0}, "epochs"),
    ({"ramp": 0.8, "hold": 0.3}, "hold"),
    ({"ramp": 0}, "ramp"),
    ({"ramp": 1.1}, "ramp"),
    ({"max_steps": 5, "ramp": 0.1}, "max_steps"),
    ({"max_steps": 10, "eval_every": 11}, "eval_every"),
    ({"eval_every": 0}, "eval_every"),
    ({"checkpoint_every": 0}, "checkpoint_every"),
    ({"batch_size": 0}, "batch_size"),
    ({"gradient_accumulation": 0}, "gradient_accumulation"),
    ({"max_length": 7}, "max_length"),
    ({"learning_rate": float("inf")}, "learning_rate"),
    ({"max_grad_norm": float("inf")}, "max_grad_norm"),
    ({"temperature": 0}, "temperature"),
    ({"regularization": -1}, "regularization"),
    ({"dropout": 1}, "dropout"),
    ({"seed": -1}, "seed"),
    ({"seed": 2**32}, "seed"),
    ({"train_rows": 0}, "train_rows"),
    ({"label_words": ["one"]}, "label_words"),
    ({"label_words": ["same", "same"]}, "label_words"),
    ({"label_words": ["same", " same "]}, "label_words"),
    ({"label_words": ["", "x"]}, "label_words.0"),
    ({"learning_rat": 0.1}, "learning_rat"),
    ({"version": 2}, "version"),
]


@pytest.mark.parametrize(("fields", "param"), REFUSED, ids=lambda value: str(value)[:60])
def test_a_refusal_names_the_field_to_change(fields: dict[str, Any], param: str) -> None:
    found = faults(**fields)
    assert param in {fault["param"] for fault in found}
    assert all(fault["message"] and fault["code"] for fault in found)


def test_every_fault_is_listed_and_no_consequence_of_another() -> None:
    found = faults(task="nonsense", sparsity=2, seed="x")
    assert [fault["param"] for fault in found] == ["task", "sparsity", "seed"]


def test_an_unknown_task_names_those_there_are() -> None:
    assert "sst2" in faults(task="imdb")[0]["message"]


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(PruningSpec.model_fields)), JSON, max_size=4), st.booleans())
def test_any_json_is_a_spec_that_survives_json_or_a_refusal(sent: dict[str, Any], complete: bool) -> None:
    resolved = understood({"model": "m", "task": "sst2", **sent} if complete else sent)
    assert resolved is None or PruningSpec.model_validate_json(resolved.model_dump_json()) == resolved


@settings(max_examples=100, deadline=None)
@given(JSON)
def test_any_json_as_a_custom_task_is_refused_or_parsed(sent: Any) -> None:
    for task in (sent, {**CUSTOM, "label_words": sent}, {**CUSTOM, "text": sent}, {**CUSTOM, "labels": sent}):
        understood({"model": "m", "task": task})


def understood(values: dict[str, Any]) -> PruningSpec | None:
    """The spec, or None where it was refused in words."""
    try:
        return PruningSpec.model_validate(values)
    except ValidationError as refusal:
        if not all(fault["message"] for fault in error_details(refusal)):
            raise AssertionError("a refusal without words") from refusal
        return None


@pytest.mark.parametrize("names", [["x" * 76, "y" * 76], ["very good film", "very bad film"], ["one two three", "one four three"]])
def test_class_names_of_any_length_serve_a_classifier_head(names: list[str]) -> None:
    task = {"dataset": "d", "text": ["t"], "labels": names}
    found = PruningSpec(model="m", task=task, head="classifier")
    assert found.task_info.labels == tuple(names)
    with pytest.raises(ValidationError) as caught:
        PruningSpec(model="m", task=task)
    assert error_details(caught.value)[0]["param"] == "task.label_words"
