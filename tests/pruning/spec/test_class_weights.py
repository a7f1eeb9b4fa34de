"""Class weights of a spec: what is taken, what is refused, and that every refusal names the field."""

from typing import Any

import pytest

from tests.pruning.spec.test_rules import fault, spec

MULTILABEL: dict[str, Any] = {
    "task": {"dataset": "d", "text": ["t"], "label": "l", "kind": "multilabel", "labels": ["a", "b", "c"]}
}
TAGS: dict[str, Any] = {"task": {"dataset": "d", "text": ["t"], "label": "l", "kind": "token-classification"}}


@pytest.mark.parametrize(
    ("given", "kept"), [(None, None), ("balanced", "balanced"), ([1, 2.5], (1.0, 2.5)), ((1e6, 1e-9), (1e6, 1e-9))]
)
def test_weights_are_kept_as_they_are_given(given: Any, kept: Any) -> None:
    parsed = spec(class_weights=given)
    assert parsed.class_weights == kept
    assert type(parsed).model_validate(parsed.model_dump(mode="json")) == parsed
    assert spec(**MULTILABEL, class_weights="balanced").class_weights == "balanced"
    assert spec(**MULTILABEL, class_weights=[1, 2, 3]).class_weights == (1.0, 2.0, 3.0)


@pytest.mark.parametrize(
    "given", ["even", [], [0, 1], [1, -1], [1, float("inf")], [1, float("nan")], [1, "2"], [True, 1], [1, 1e7], {"a": 1}, 3, True]
)
def test_what_are_no_weights_is_refused_in_one_message(given: Any) -> None:
    found = fault(class_weights=given)
    assert (found["param"], found["code"]) == ("class_weights", "class_weights_invalid")
    if isinstance(given, list) and given:
        assert "of class " in found["message"]


@pytest.mark.parametrize(
    "more",
    [
        {"task": "stsb"},
        {"task": "squad"},
        {"task": "squad_v2"},
        TAGS,
        {"method": "wanda"},
        {"method": "magnitude", "one_shot": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("given", ["balanced", [1, 1]])
def test_what_has_no_classes_or_no_loss_has_no_weights(more: dict[str, Any], given: Any) -> None:
    found = fault(**more, class_weights=given)
    assert (found["param"], found["code"]) == ("class_weights", "spec_conflict")
    assert spec(**more, class_weights=None).class_weights is None


@pytest.mark.parametrize(("more", "classes"), [({}, 2), ({"task": "mnli"}, 3), (MULTILABEL, 3)], ids=str)
def test_every_class_has_one_weight(more: dict[str, Any], classes: int) -> None:
    found = fault(**more, class_weights=[1] * (classes + 1))
    assert (found["param"], found["code"]) == ("class_weights", "spec_conflict")
    assert str(classes) in found["message"]
    assert spec(**more, class_weights=[1] * classes).class_weights is not None
