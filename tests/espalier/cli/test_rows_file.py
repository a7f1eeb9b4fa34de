"""A file of rows in place of a task: what is read, how it is split, what is refused, and the job that comes of it."""

import json
from pathlib import Path

import pytest
import typer

from espalier.cli.job_spec import rows_of
from espalier.cli.rows_file import RowsFile
from espalier.errors import ApiError
from tests.espalier.cli.conftest import Run

TOPICS = ("billing", "shipping", "returns")


def write(path: Path, rows: int = 60) -> Path:
    lines = [f'"message {i}, with a comma";{TOPICS[i % 3]};{i}' for i in range(rows)]
    path.write_text("\n".join(["message;topic;number", *lines]) + "\n")
    return path


def test_the_split_is_the_same_each_time_and_every_class_is_on_both_sides(tmp_path: Path) -> None:
    file = RowsFile.read(write(tmp_path / "rows.csv"), ["message"], "topic")
    train, validation = file.split()
    assert (len(train), len(validation)) == (48, 12)
    assert {row["topic"] for row in train} == {row["topic"] for row in validation} == set(file.classes()) == set(TOPICS)
    assert {row["message"] for row in train}.isdisjoint(row["message"] for row in validation)
    assert train[0].keys() == {"message", "topic"}
    assert file.split() == (train, validation)


def test_rows_with_one_text_are_on_one_side(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": f"t{i % 10}", "label": i % 2}) + "\n" for i in range(40)))
    train, validation = RowsFile.read(path, [], None).split()
    assert len(train) + len(validation) == 40
    assert {row["text"] for row in train}.isdisjoint(row["text"] for row in validation)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [([1, 2, 5, 10], ["1", "2", "5", "10"]), ([True, False], ["false", "true"]), (["b", " a"], ["a", "b"]), ([1.5, 2.0], None)],
)
def test_what_labels_are_taken_for(tmp_path: Path, labels: list[object], classes: list[str] | None) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": f"{i}", "label": labels[i % len(labels)]}) + "\n" for i in range(40)))
    file = RowsFile.read(path, [], None)
    assert file.is_regression == (classes is None)
    if classes is not None:
        assert file.classes() == classes


@pytest.mark.parametrize(
    ("content", "text", "label", "words"),
    [
        ("text,label\nfine,\n", [], None, "row 1 .* label"),
        ("text,topic\nfine,a\n", [], None, "'label'.* text, topic"),
        ("a,b,label\nx,y,1\n", [], None, "a, b, label"),
        ("text,label\n1,a\n2,b\n", [], None, "row 1 .* text"),
        ("text,label\nfine,a,b,c\n", [], None, r"row 1 .*\b4\b"),
        ("text,label\n", [], None, r"rows\.csv"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_sent(
    tmp_path: Path, content: str, text: list[str], label: str | None, words: str
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(content)
    with pytest.raises(typer.BadParameter, match=words):
        rows_of(str(path), text, label, dry_run=False)


def test_one_class_and_too_few_texts(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,label\nx,a\ny,a\n")
    with pytest.raises(typer.BadParameter, match="label has 1 "):
        RowsFile.read(path, [], None).classes()
    path.write_text("text,label\nx,a\ny,b\n")
    with pytest.raises(typer.BadParameter, match=r"rows\.csv has 2 "):
        RowsFile.read(path, [], None).split()


def test_columns_without_a_file_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert rows_of("sst2", None, None, dry_run=False) is None
    for task, text, words in (("sst2", ["a"], "TASK"), (f"{tmp_path}/no.csv", [], "no.csv")):
        with pytest.raises(typer.BadParameter, match=words):
            rows_of(task, text, None, dry_run=False)
    with pytest.raises(typer.BadParameter, match="espalier datasets upload"):
        rows_of(str(write(tmp_path / "rows.csv")), [], None, dry_run=True)


def test_one_command_uploads_splits_and_submits(espalier: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv")
    sent = ("submit", "bert-base-uncased", str(path), "--text", "message", "--label", "topic", "--json")
    job, again = (json.loads(espalier(*sent)) for _ in range(2))
    task = job["spec"]["task"]
    assert (task["labels"], task["text"], task["label"]) == (sorted(TOPICS), ["message"], "topic")
    assert task["dataset"] == again["spec"]["task"]["dataset"], "the same rows are the same data set"
    (made,) = json.loads(espalier("datasets", "list", "--json"))
    assert {split["name"]: split["rows"] for split in made["splits"]} == {"train": 48, "validation": 12}


def test_lists_of_labels_are_a_multilabel_task(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    lists = [["b", "a"], [], ["a"]]
    path.write_text("".join(json.dumps({"text": f"{i}", "label": lists[i % 3]}) + "\n" for i in range(30)))
    file = RowsFile.read(path, [], None)
    assert (file.is_multilabel, file.is_regression, file.classes()) == (True, False, ["a", "b"])
    train, validation = file.split()
    assert [len(train), len(validation)] == [24, 6]
    assert {tuple(row["label"]) for row in validation} == {("b", "a"), (), ("a",)}
    path.write_text(path.read_text() + json.dumps({"text": "x", "label": "a"}) + "\n")
    with pytest.raises(typer.BadParameter, match=r"label .*\['"):
        RowsFile.read(path, [], None).classes()


def test_pieces_insist_on_words_where_class_names_have_none(espalier: Run, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "".join(f"message {i},{'+-'[i % 2]}\n" for i in range(20)))
    sent = ("submit", "bert-base-uncased", str(path), "--json")
    assert json.loads(espalier(*sent))["spec"]["head"] == "classifier"
    with pytest.raises(ApiError) as refused:
        espalier(*sent, "--set", "label_word_pieces=mean")
    assert refused.value.param == "task.label_words"
