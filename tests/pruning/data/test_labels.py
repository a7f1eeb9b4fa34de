"""Label columns: a value is one class, by its name or its id, and the same one in every file format."""

from typing import Any

import pytest

from pruning.data.labels import check_one_kind, describe_classes, parse_label
from pruning.errors import PermanentError
from pruning.spec.custom_task import CustomTask
from pruning.spec.tasks import Task, resolve_task


def task(*names: str, classes: int = 0, **changes: Any) -> Task:
    words = tuple(f"w{i}" for i in range(classes or len(names)))
    given = {"dataset": "d", "text": ("t",), "label_words": words, "labels": names or None} | changes
    return resolve_task(CustomTask(**given))


@pytest.mark.parametrize(
    ("names", "value", "expected"),
    [
        (("1", "2", "3"), 1, 0),
        (("1", "2", "3"), "1", 0),
        (("1", "2", "3"), 1.0, 0),
        (("1", "2", "3"), 3, 2),
        (("2", "1", "0"), 0, 2),
        (("0", "1"), 1, 1),
        (("4", "5"), 4, 0),
        (("4", "5"), 0, 0),
        (("4", "5"), 1, 1),
        (("1", "2.5"), 2.5, 1),
        (("1.50", "2"), 1.5, 0),
        (("1", "1.0"), 1, 0),
        (("1", "1.0"), "1.0", 1),
        (("neg", "pos"), 1, 1),
        (("neg", "pos"), "pos", 1),
        (("neg", "pos"), True, 1),
        (("neg", "pos"), False, 0),
        (("true", "false"), True, 0),
        (("True", "False"), False, 1),
        (("yes", "no"), True, 0),
        (("No", "Yes"), True, 1),
        (("0", "1"), True, 1),
        (("C++", "C", "C#"), "C#", 2),
    ],
)
def test_names_win_over_ids(names: tuple[str, ...], value: Any, expected: int) -> None:
    assert parse_label(value, task(*names), "row 1") == expected


@pytest.mark.parametrize(
    ("names", "value"),
    [
        (("1", "2", "3"), 0),
        (("1", "2"), 3),
        (("0", "7"), 1),
        (("neg", "pos"), "1"),
        (("neg", "pos"), 2),
        (("neg", "pos"), "POS"),
        (("a", "b", "c"), True),
        (("true", "maybe"), False),
        (("neg", "pos"), None),
        (("neg", "pos"), float("nan")),
        ((), "x"),
        (("1", "2"), True),
    ],
)
def test_what_is_no_class_is_refused(names: tuple[str, ...], value: Any) -> None:
    with pytest.raises(PermanentError) as caught:
        parse_label(value, task(*names, classes=0 if names else 2), "row 7")
    assert caught.value.code == "labels_mismatch"
    assert "row 7" in str(caught.value)


def test_labels_are_written_in_one_way() -> None:
    for kinds in ({"integer", "number"}, {"text"}, {"boolean"}, {"integer"}, {"text", "null"}):
        check_one_kind(dict.fromkeys(kinds, 1), "y", "split")
    for kinds in ({"integer", "text"}, {"boolean", "number"}, {"boolean", "text"}):
        first_rows = {kind: number for number, kind in enumerate(sorted(kinds), 7)}
        with pytest.raises(PermanentError, match=r"row 7\b.*row 8\b") as caught:
            check_one_kind(first_rows, "y", "split")
        assert caught.value.code == "labels_mismatch"


def test_the_decision_is_put_into_words() -> None:
    assert describe_classes([True, False], task("ham", "spam")) == (
        "labels in column 'label': false is class 0 (ham), true is class 1 (spam)"
    )
    assert describe_classes([1.5], task(kind="regression", classes=1)) == ""
    many = task(*(f"name{i}" for i in range(50)))
    assert describe_classes(range(50), many).endswith("and 30 more")
