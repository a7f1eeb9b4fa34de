"""Proposed roles of the columns of a data set: texts, label, classes, as a form is filled with them."""

from datetime import UTC, datetime
from typing import Any

from api.pages.dataset_roles import TaskProposal
from api.schemas.datasets import Dataset, DatasetColumn, DatasetSplit

TEXT: dict[str, Any] = {"kinds": {"text": 100}, "values": None}


def classes(*values: str | int) -> dict[str, Any]:
    return {"kinds": {"integer" if isinstance(values[0], int) else "text": 100}, "values": list(values)}


def proposal(*splits: str, **columns: dict[str, Any]) -> TaskProposal:
    found = [DatasetColumn(name=name, **column) for name, column in columns.items()]
    made = [DatasetSplit(name=name, rows=100, bytes=1, columns=found) for name in splits or ("train", "validation")]
    return TaskProposal.from_dataset(Dataset(id="ds_" + "0" * 32, name=None, sha256="", splits=made, created_at=datetime.now(UTC)))


def test_texts_and_named_classes() -> None:
    found = proposal(body=TEXT, queue=classes("open", "shut"), id={"kinds": {"integer": 100}, "values": None})
    assert (found.text, found.label, found.classes) == (("body",), "queue", ("open", "shut"))
    assert (found.train_split, found.validation_split) == ("train", "validation")
    assert [found.role_of(name) for name in ("body", "queue", "id")] == ["text", "label: 2 classes", "not used"]
    assert found.form_values("ds_x")["task.labels"] == ["open\nshut"]


def test_a_column_called_label_comes_first() -> None:
    assert proposal(text=TEXT, label=classes("a", "b"), source=classes("web", "mail")).label == "label"


def test_pairs_of_texts() -> None:
    assert proposal(premise=TEXT, hypothesis=TEXT, label=classes("yes", "no")).text == ("premise", "hypothesis")


def test_class_ids_have_no_names() -> None:
    found = proposal(text=TEXT, label=classes(1, 0, 2))
    assert (found.classes, found.kind) == (None, "classification")
    assert proposal(text=TEXT, label=classes(1, 2)).classes == ("1", "2")  # they do not count from 0


def test_truth_values_are_two_classes() -> None:
    assert proposal(text=TEXT, spam={"kinds": {"boolean": 100}, "values": []}).classes == ("false", "true")


def test_numbers_are_a_regression() -> None:
    found = proposal(text=TEXT, score={"kinds": {"number": 60, "integer": 40}, "values": None})
    assert (found.label, found.kind, found.role_of("score")) == ("score", "regression", "label: a number to regress on")
    assert found.form_values("ds_x")["task.kind"] == ["regression"]


def test_more_classes_than_are_listed() -> None:
    found = proposal(text=TEXT, label={"kinds": {"text": 100}, "values": None})
    assert (found.text, found.label, found.classes, found.kind) == (("text",), "label", None, "classification")


def test_what_tells_nothing_is_left_empty() -> None:
    found = proposal("rows", text=TEXT)
    assert (found.label, found.train_split, found.validation_split) == (None, "rows", None)
    assert "task.label" in found.form_values("ds_x")
    assert found.form_values("ds_x")["task.label"] == []


def test_lists_of_few_entries_are_labels() -> None:
    found = proposal(text=TEXT, tags={"kinds": {"other": 100}, "values": [], "entries": ["night", "day"]})
    assert (found.label, found.kind, found.classes) == ("tags", "multilabel", ("night", "day"))
    assert found.role_of("tags") == "labels: lists of 2 labels"
    assert found.form_values("ds_x")["task.kind"] == ["multilabel"]
    assert proposal(text=TEXT, tags={"kinds": {"other": 100}, "values": [], "entries": None}).label is None


def nested(holds: str) -> dict[str, Any]:
    return {"kinds": {"other": 100}, "values": [], "entries": None, "holds": holds}


def test_words_with_tags_and_questions_with_answers() -> None:
    found = proposal(id=TEXT, tokens=nested("words"), ner=nested("tags") | {"entries": ["O", "B-X"]})
    assert (found.kind, found.text, found.label, found.classes) == ("token-classification", ("tokens",), "ner", None)
    assert [found.role_of(name) for name in ("tokens", "ner", "id")] == ["words", "tags of the words", "not used"]
    found = proposal(context=TEXT, question=TEXT, answers=nested("answers"))
    assert (found.kind, found.text, found.label) == ("span", ("question", "context"), "answers")
    assert found.form_values("ds_x")["task.kind"] == ["span"]
