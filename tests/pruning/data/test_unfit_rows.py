"""Statistics of an upload say how many rows a task cannot use at least: refused above the limit, else left to the trainer."""

from typing import Any

import pytest

from pruning.data.column_checks import check_columns
from pruning.data.column_profiler import ColumnProfiler
from pruning.data.column_statistics import Column
from pruning.errors import PermanentError
from pruning.spec.custom_task import CustomTask

CLASSES = {"labels": ["shut", "open"], "label_words": ["no", "yes"]}
COLUMNS = {"kind": "multilabel", "label": None, "label_columns": ["a", "b"], "labels": ["a", "b"]}
ANSWERS = {"text": ["x"], "answer_start": [0]}
GOOD: dict[str, Any] = {"body": "x", "queue": "open", "a": 0, "b": 1}


def check(task: dict[str, Any], bad: dict[str, Any], limit: float | None) -> None:
    found = ColumnProfiler()
    for row in [GOOD | task.get("good", {})] * 8 + [GOOD | task.get("good", {}) | bad] * 2:
        found.add(row)
    columns = [Column.model_validate(column) for column in found.summary()]
    fields = {"dataset": "ds", "text": ["body"], "label": "queue"} | {k: v for k, v in task.items() if k != "good"}
    given = CustomTask.model_validate({name: value for name, value in fields.items() if value is not None})
    check_columns(given, {"train": columns, "validation": columns}, bad_rows_limit=limit)


@pytest.mark.parametrize(
    ("task", "bad"),
    [
        (CLASSES, {"queue": None}),
        (CLASSES, {"queue": "ajar"}),
        (CLASSES, {"queue": 7}),
        (CLASSES, {"body": None}),
        ({"kind": "regression", "label_words": ["yes"], "good": {"queue": 0.5}}, {"queue": "much"}),
        (COLUMNS, {"a": 2}),
        (COLUMNS, {"b": None}),
        ({"kind": "token-classification", "good": {"body": ["x"], "queue": ["B-X"]}}, {"queue": "O"}),
        ({"kind": "span", "text": ["body", "more"], "good": {"more": "x", "queue": ANSWERS}}, {"queue": None}),
    ],
)
def test_more_unfit_rows_than_may_be_skipped(task: dict[str, Any], bad: dict[str, Any]) -> None:
    check(task, bad, 0.2)
    check(task, {}, None)
    with pytest.raises(PermanentError) as caught:
        check(task, bad, 0.1)
    assert (caught.value.code, caught.value.param) == ("too_many_bad_rows", "bad_rows_limit")
    assert "2 of 10 " in caught.value.message


def test_a_split_or_a_column_that_is_missing_is_no_bad_row() -> None:
    for change, code in (({"queue": "open"}, "column_missing"), ({}, "split_missing")):
        task = CLASSES | ({"label": "elsewhere"} if change else {"train_split": "fit"})
        with pytest.raises(PermanentError) as caught:
            check(task, change, 0.5)
        assert caught.value.code == code
