"""Token classification in a spec: defaults, and what is refused before any work, with the field."""

from typing import Any

import pytest
from pydantic import ValidationError

from pruning.spec.errors import error_details
from pruning.spec.schema import PruningSpec

TASK: dict[str, Any] = {"dataset": "d", "text": ["words"], "label": "tags", "kind": "token-classification"}


def spec(fields: dict[str, Any] | None = None, **task: Any) -> PruningSpec:
    return PruningSpec.model_validate({"model": "m", "task": {**TASK, **task}, **(fields or {})})


def test_defaults() -> None:
    found = spec()
    assert (found.head, found.label_words, found.calibrate_logits) == ("token-classifier", (), False)
    assert found.task_info.metrics == ("f1", "precision", "recall", "token_accuracy")
    assert spec(metric="token_accuracy").task_info.metrics[0] == "token_accuracy"
    named = spec(labels=["O", "B-X"])
    assert named.label_words == ("O", "B-X")
    for one in (found, named):
        assert PruningSpec.model_validate_json(one.model_dump_json()) == one


@pytest.mark.parametrize(
    ("fields", "task", "param"),
    [
        ({}, {"text": ["a", "b"]}, "task.text"),
        ({}, {"labels": ["O", "X"]}, "task.labels"),
        ({}, {"labels": ["B-X", "I-X"]}, "task.labels"),
        ({}, {"labels": ["O"]}, "task.labels"),
        ({}, {"label_words": ["good", "bad"]}, "task.label_words"),
        ({}, {"label_columns": ["a", "b"]}, "task.label_columns"),
        ({}, {"metric": "accuracy"}, "task.metric"),
        ({"head": "label-words"}, {}, "head"),
        ({"head": "classifier"}, {}, "head"),
        ({"teacher": "t"}, {}, "teacher"),
        ({"label_words": ["good", "bad"]}, {}, "label_words"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], task: dict[str, Any], param: str) -> None:
    with pytest.raises(ValidationError) as caught:
        spec(fields, **task)
    assert [fault["param"] for fault in error_details(caught.value)] == [param]


def test_the_head_is_of_this_kind_alone() -> None:
    with pytest.raises(ValidationError) as caught:
        PruningSpec.model_validate({"model": "m", "task": "sst2", "head": "token-classifier"})
    assert [fault["param"] for fault in error_details(caught.value)] == ["head"]
