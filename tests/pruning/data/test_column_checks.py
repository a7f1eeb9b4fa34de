"""A task against what is known of an uploaded data set's columns: refused with the field, and the row where one is to blame."""

from typing import Any

import pytest

from pruning.data.column_checks import check_columns
from pruning.data.column_profiler import MAX_DISTINCT_VALUES, MAX_VALUE_CHARS, ColumnProfiler
from pruning.data.column_statistics import Column
from pruning.errors import PermanentError
from pruning.spec.custom_task import CustomTask

TASK: dict[str, Any] = {"dataset": "ds", "text": ["body"], "label": "queue", "label_words": ["no", "yes"]}


def columns(*rows: dict[str, Any]) -> list[Column]:
    found = ColumnProfiler()
    for row in rows:
        found.add(row)
    return [Column.model_validate(column) for column in found.summary()]


def check(*rows: dict[str, Any], validation: list[Column] | None = None, **changes: Any) -> None:
    splits = {"train": columns(*rows), "validation": validation or columns(*rows)}
    check_columns(CustomTask(**TASK | changes), splits)


def refusal(*rows: dict[str, Any], **changes: Any) -> PermanentError:
    with pytest.raises(PermanentError) as caught:
        check(*rows, **changes)
    return caught.value


GOOD = {"body": "x", "queue": 0}


def test_what_fits() -> None:
    check(GOOD, {"body": "y", "queue": 1.0})
    check(GOOD | {"queue": "open"}, labels=["shut", "open"])
    check(GOOD | {"queue": True}, GOOD | {"queue": False})
    check(*(GOOD | {"queue": star} for star in range(1, 6)), labels=list("12345"), label_words=list("abcde"))
    check(GOOD | {"queue": 0.3}, kind="regression", label_words=["yes"])
    check(*({"body": "x", "queue": n / 7} for n in range(MAX_DISTINCT_VALUES + 5)), kind="regression", label_words=["yes"])


def test_splits_and_columns() -> None:
    found = refusal(GOOD, validation_split="dev")
    assert (found.code, found.param) == ("split_missing", "task.validation_split")
    assert "train, validation" in str(found)
    assert refusal(GOOD, text=["body", "subject"]).param == "task.text.1"
    found = refusal(GOOD, label="category")
    assert (found.code, found.param) == ("column_missing", "task.label")
    assert "body, queue" in str(found)


@pytest.mark.parametrize(("value", "kind"), [(3, "integer"), (None, "null"), (True, "boolean"), ([1], "other"), (0.5, "number")])
def test_texts_that_are_none(value: Any, kind: str) -> None:
    found = refusal(GOOD, {"body": value, "queue": 1}, {"body": [], "queue": 1})
    assert (found.code, found.param) == ("rows_invalid", "task.text.0")
    assert "row 2 " in str(found)
    assert "'train'" in str(found)
    assert kind in str(found)


@pytest.mark.parametrize("label", [2, -1, 0.5, "open", None, {}])
def test_labels_that_are_none(label: Any) -> None:
    found = refusal(GOOD, GOOD, {"body": "x", "queue": label}, {"body": "x", "queue": 9})
    assert found.code == "labels_mismatch"
    assert "row 3 " in str(found)
    assert refusal(GOOD, validation=columns(GOOD, {"body": "x", "queue": label})).code == "labels_mismatch"


def test_a_column_that_cannot_be_labels() -> None:
    many = [{"body": "x", "queue": n} for n in range(MAX_DISTINCT_VALUES + 1)]
    for rows in (many, [GOOD | {"queue": "x" * (MAX_VALUE_CHARS + 1)}]):
        found = refusal(*rows)
        assert (found.code, found.param) == ("labels_mismatch", "task.label")
    assert refusal(GOOD | {"queue": "much"}, kind="regression", label_words=["yes"]).code == "labels_mismatch"


def test_labels_of_two_kinds_are_refused() -> None:
    for values in (("open", 1), (True, 1), ("open", False)):
        rows = [GOOD | {"queue": value} for value in values]
        found = refusal(*rows, labels=["shut", "open"])
        assert (found.code, found.param) == ("labels_mismatch", "task.label")
        assert "mixes" in str(found)


def test_ids_are_not_taken_where_the_names_are_numbers() -> None:
    found = refusal(GOOD | {"queue": 1}, GOOD | {"queue": 0}, labels=["1", "2"])
    assert (found.code, "row 2 " in str(found)) == ("labels_mismatch", True)
    assert refusal(GOOD | {"queue": True}, labels=["a", "b", "c"], label_words=["a", "b", "c"]).code == "labels_mismatch"


def test_values_of_all_columns_are_bounded() -> None:
    found = columns(*({f"c{n}": i for n in range(50)} | {"queue": i % 2} for i in range(900)))
    kept = {column.name: column.values for column in found}
    assert len(kept["queue"] or ()) == 2
    assert 9000 < sum(len(values or ()) for values in kept.values()) <= 10_000


MANY: dict[str, Any] = {"kind": "multilabel", "labels": ["a", "b"], "label_words": None}


def test_label_lists_that_fit() -> None:
    check(GOOD | {"queue": ["a", "b"]}, GOOD | {"queue": []}, **MANY)
    check(GOOD | {"queue": [0, 1]}, **MANY)
    check({"body": "x", "a": 0, "b": True}, {"body": "x", "a": 1.0, "b": False}, label_columns=["a", "b"], **MANY)


@pytest.mark.parametrize("value", ["a", 0, None, True, {"a": 1}, [2], ["c"], [None], [True], [["a"]]])
def test_label_lists_that_do_not_fit(value: Any) -> None:
    good = GOOD | {"queue": ["a"]}
    found = refusal(good, GOOD | {"queue": value}, **MANY)
    assert (found.code, found.param) == ("labels_mismatch", "task.labels" if value in ([2], ["c"]) else "task.label")
    assert "row 2 " in found.message


@pytest.mark.parametrize("value", ["1", None, 2, 0.5, [1]])
def test_columns_of_zero_and_one(value: Any) -> None:
    found = refusal({"body": "x", "a": 0, "b": 1}, {"body": "x", "a": 1, "b": value}, label_columns=["a", "b"], **MANY)
    assert (found.code, found.param) == ("labels_mismatch", "task.label_columns.1")
    assert "row 2 " in found.message


def test_a_missing_label_column_is_named() -> None:
    found = refusal({"body": "x", "a": 0}, label_columns=["a", "b"], **MANY)
    assert (found.code, found.param) == ("column_missing", "task.label_columns.1")


def test_lists_of_an_earlier_version_are_left_to_the_trainer() -> None:
    stored = [column.model_dump() for column in columns(GOOD | {"queue": ["z"]})]
    before = [Column.model_validate({key: value for key, value in one.items() if key != "lists"}) for one in stored]
    check_columns(CustomTask(**TASK | MANY), {"train": before, "validation": before})


TAGGED: dict[str, Any] = {"kind": "token-classification", "text": ["w"], "label": "t", "label_words": []}
FINE = {"w": ["a", "b"], "t": ["B-X", "I-X"]}


def test_words_and_tags_that_fit() -> None:
    check(FINE, {"w": ["a"], "t": ["O"]}, **TAGGED)
    check(FINE, labels=["O", "B-X", "I-X"], **TAGGED)
    check({"w": ["a", "b"], "t": [1, 0]}, labels=["O", "B-X"], **TAGGED)


@pytest.mark.parametrize(
    ("row", "param"),
    [
        ({"w": "a b"}, "task.text.0"),
        ({"w": []}, "task.text.0"),
        ({"w": ["a", 1]}, "task.text.0"),
        ({"w": ["a", " "]}, "task.text.0"),
        ({"w": None}, "task.text.0"),
        ({"t": ["O"]}, "task.label"),
        ({"t": ["O", "I-X"]}, "task.label"),
        ({"t": ["O", None]}, "task.label"),
        ({"t": ["O", "Z"]}, "task.label"),
        ({"t": "O O"}, "task.label"),
        ({"t": {"a": 1}}, "task.label"),
        ({"t": ["O", "B-Y"]}, "task.labels"),
        ({"t": [0, 3]}, "task.labels"),
        ({"t": [0, -1]}, "task.labels"),
    ],
)
def test_words_and_tags_that_do_not_fit(row: dict[str, Any], param: str) -> None:
    found = refusal(FINE, FINE | row, labels=["O", "B-X", "I-X"], **TAGGED)
    assert (found.code, found.param) == ("rows_invalid" if param == "task.text.0" else "labels_mismatch", param)
    assert "row 2 " in found.message


def test_the_position_of_a_wrong_tag_is_named() -> None:
    assert "tag 2 " in refusal(FINE, FINE | {"t": ["O", "I-X"]}, **TAGGED).message


def test_tags_of_validation_rows_must_occur_in_training_rows() -> None:
    with pytest.raises(PermanentError, match=r"row 2 .*'validation'.*'B-Y'") as caught:
        check(FINE, validation=columns(FINE, FINE | {"t": ["O", "B-Y"]}), **TAGGED)
    assert (caught.value.code, caught.value.param) == ("labels_mismatch", "task.labels")
    assert refusal(FINE | {"t": [0, 1]}, **TAGGED).param == "task.labels"  # ids without names


ASKED: dict[str, Any] = {"kind": "span", "text": ["q", "c"], "label": "a", "label_words": []}
ANSWERED = {"q": "who?", "c": "Ann ran", "a": {"text": ["Ann"], "answer_start": [0]}}
NONE: dict[str, Any] = {"text": [], "answer_start": []}


def test_answers_that_fit() -> None:
    check(ANSWERED, ANSWERED | {"a": NONE}, **ASKED)


@pytest.mark.parametrize(
    "answers",
    [
        None,
        "Ann",
        ["Ann"],
        {"text": ["Ann"]},
        {"text": ["Ann"], "answer_start": [1]},
        {"text": ["Ann", "Lee"], "answer_start": [0, 4]},
    ],
)
def test_answers_that_do_not_fit(answers: Any) -> None:
    found = refusal(ANSWERED, ANSWERED | {"a": answers}, **ASKED)
    assert (found.code, found.param) == ("rows_invalid", "task.label")
    assert "row 2 " in found.message


def test_answers_of_an_earlier_version_are_left_to_the_trainer() -> None:
    stored = [column.model_dump(exclude={"lists", "answers"}) for column in columns(ANSWERED | {"a": ["odd"]})]
    before = [Column.model_validate(one) for one in stored]
    check_columns(CustomTask(**TASK | ASKED), {"train": before, "validation": before})
