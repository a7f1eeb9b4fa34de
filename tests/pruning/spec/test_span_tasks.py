"""Custom span tasks in a spec: defaults, and what is refused before any work, with the field."""

from typing import Any

import pytest
from pydantic import ValidationError

from pruning.spec.errors import error_details
from pruning.spec.schema import PruningSpec
from pruning.spec.tasks import TASKS

TASK: dict[str, Any] = {"dataset": "d", "text": ["question", "context"], "label": "answers", "kind": "span"}


def spec(fields: dict[str, Any] | None = None, **task: Any) -> PruningSpec:
    return PruningSpec.model_validate({"model": "m", "task": {**TASK, **task}, **(fields or {})})


def test_defaults() -> None:
    found = spec()
    assert (found.head, found.label_words, found.max_length) == ("span", ("Yes", "No"), 384)
    assert (found.task_info.metrics, found.task_info.no_answers) == (("f1", "exact"), True)
    assert spec(metric="exact").task_info.metrics == ("exact", "f1")
    assert spec(label_words=["good", "bad"]).label_words == ("good", "bad")
    assert PruningSpec.model_validate_json(found.model_dump_json()) == found


def test_the_first_squad_stays_as_it_is() -> None:
    assert (TASKS["squad"].metrics, TASKS["squad"].no_answers) == (("f1", "exact_match"), False)
    assert (TASKS["squad_v2"].metrics, TASKS["squad_v2"].no_answers) == (("f1", "exact"), True)


@pytest.mark.parametrize(
    ("fields", "task", "param"),
    [
        ({}, {"text": ["context"]}, "task.text"),
        ({}, {"labels": ["a", "b"]}, "task.labels"),
        ({}, {"label_words": ["a"]}, "task.label_words"),
        ({}, {"label_columns": ["a"]}, "task.label_columns"),
        ({}, {"metric": "accuracy"}, "task.metric"),
        ({"head": "classifier"}, {}, "head"),
        ({"max_length": 64, "stride": 64}, {}, "stride"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], task: dict[str, Any], param: str) -> None:
    with pytest.raises(ValidationError) as caught:
        spec(fields, **task)
    assert [fault["param"] for fault in error_details(caught.value)] == [param]
