"""Multi-label tasks in a spec: defaults, and what is refused before any work, with the field."""

from typing import Any

import pytest
from pydantic import ValidationError

from pruning.spec.errors import error_details
from pruning.spec.schema import PruningSpec

TASK: dict[str, Any] = {"dataset": "d", "text": ["x"], "kind": "multilabel", "labels": ["a b", "c!"]}


def spec(fields: dict[str, Any] | None = None, **task: Any) -> PruningSpec:
    return PruningSpec.model_validate({"model": "m", "task": {**TASK, **task}, **(fields or {})})


def test_defaults() -> None:
    found = spec()
    assert (found.head, found.label_words, found.calibrate_logits) == ("classifier", ("a b", "c!"), False)
    assert found.task_info.metrics == ("micro_f1", "macro_f1")
    assert spec(metric="macro_f1").task_info.metrics == ("macro_f1", "micro_f1")
    assert PruningSpec.model_validate_json(found.model_dump_json()) == found


def test_columns_name_the_labels() -> None:
    found = spec(labels=None, label_columns=["one", "two"])
    assert found.task_info.labels == ("one", "two")
    assert found.task_info.columns == ("x", "one", "two")
    assert spec(label_columns=["one", "two"]).task_info.labels == ("a b", "c!")
    assert PruningSpec.model_validate_json(found.model_dump_json()) == found
    assert spec(labels=["only"]).label_words == ("only",)


@pytest.mark.parametrize(
    ("fields", "task", "param"),
    [
        ({}, {"labels": None}, "task.labels"),
        ({}, {"label_columns": ["one"]}, "task.labels"),
        ({}, {"label_columns": ["one", "one"]}, "task.label_columns"),
        ({}, {"label_columns": ["x", "one"]}, "task.label_columns"),
        ({}, {"label_words": ["good", "bad"]}, "task.label_words"),
        ({}, {"metric": "accuracy"}, "task.metric"),
        ({}, {"kind": "classification", "label_columns": ["one", "two"]}, "task.label_columns"),
        ({}, {"kind": "classification", "metric": "micro_f1"}, "task.metric"),
        ({"head": "label-words"}, {}, "head"),
        ({"head": "span"}, {}, "head"),
        ({"teacher": "t"}, {}, "teacher"),
        ({"label_words": ["good", "bad"]}, {}, "label_words"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], task: dict[str, Any], param: str) -> None:
    with pytest.raises(ValidationError) as caught:
        spec(fields, **task)
    assert [fault["param"] for fault in error_details(caught.value)] == [param]
