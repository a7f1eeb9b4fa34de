"""A split's rows are read plain or compressed, and every row that cannot be used is named by its number."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from pruning.data.reader import Rows, load_rows
from pruning.errors import PermanentError
from pruning.sources import Sources
from pruning.spec.custom_task import CustomTask
from pruning.spec.tasks import Task, resolve_task
from tests import toy_datasets

NUMBERS = CustomTask(dataset="numbers", text=("text",), label="y", kind="regression", label_words=("Yes",))


def load(root: Path, task: Task, split: str = "train", limit: int | None = None) -> Rows:
    return load_rows(task, split, Sources(datasets_dir=root, hub=False), limit)


def refusal(root: Path, task: Task) -> PermanentError:
    with pytest.raises(PermanentError) as caught:
        load(root, task)
    return caught.value


def test_rows_are_read_plain_or_compressed_up_to_a_limit(tmp_path: Path) -> None:
    toy_datasets.make_opinions(tmp_path / "sst2", train=6)
    plain = load(tmp_path, resolve_task("sst2"))
    file = tmp_path / "sst2" / "train.jsonl"
    (tmp_path / "sst2" / "train.jsonl.gz").write_bytes(gzip.compress(file.read_bytes()))
    file.unlink()
    assert load(tmp_path, resolve_task("sst2")) == plain
    assert plain.labels == [0, 1, 0, 1, 0, 1]
    assert plain.texts[0][0] == toy_datasets.opinions(1, 1)[0]["sentence"]
    assert load(tmp_path, resolve_task("sst2"), limit=4).labels == [0, 1, 0, 1]


def test_a_custom_task_reads_its_own_columns(tmp_path: Path) -> None:
    task = resolve_task(CustomTask(dataset="org/mine", text=("b", "a"), label="y", label_words=("Yes", "No"), train_split="fit"))
    toy_datasets.write_splits(tmp_path / "org" / "mine", {"fit": [{"a": "one", "b": "two", "y": 1, "more": None}]})
    rows = load(tmp_path, task, "fit")
    assert rows.texts == (["two"], ["one"])
    assert rows.labels == [1]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("{", "rows_invalid"),
        ("[1]", "rows_invalid"),
        ("3", "rows_invalid"),
        ("null", "rows_invalid"),
        ('{"label": 1}', "column_missing"),
        ('{"sentence": "x"}', "column_missing"),
        ('{"sentence": 3, "label": 1}', "rows_invalid"),
        ('{"sentence": null, "label": 1}', "rows_invalid"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_by_its_number(tmp_path: Path, line: str, code: str) -> None:
    rows = toy_datasets.opinions(4, 0)
    lines = [json.dumps(row) for row in rows[:2]] + [line] + [json.dumps(row) for row in rows[2:]]
    toy_datasets.write_splits(tmp_path / "sst2", {"validation": []})
    (tmp_path / "sst2" / "train.jsonl").write_text("\n".join(lines) + "\n")
    found = refusal(tmp_path, resolve_task("sst2"))
    assert found.code == code
    assert "row 3 " in found.message


@pytest.mark.parametrize("label", [2, -1, 0.5, "1", None, [0]])
def test_a_label_that_is_no_class_id_is_named_by_its_row(tmp_path: Path, label: Any) -> None:
    rows = toy_datasets.opinions(5, 0)
    rows[4]["label"] = label
    toy_datasets.write_splits(tmp_path / "sst2", {"train": rows})
    found = refusal(tmp_path, resolve_task("sst2"))
    assert found.code == "labels_mismatch"
    assert "row 5 " in found.message
    assert repr(label) in found.message


@pytest.mark.parametrize("label", ["3.5", None, True, float("nan"), float("inf")])
def test_a_label_that_is_no_number_is_named_by_its_row(tmp_path: Path, label: Any) -> None:
    rows = [{"text": "x", "y": 1.5}, {"text": "x", "y": 2}, {"text": "x", "y": label}]
    toy_datasets.write_splits(tmp_path / "numbers", {"train": rows})
    found = refusal(tmp_path, resolve_task(NUMBERS))
    assert (found.code, "row 3 " in found.message) == ("labels_mismatch", True)


def test_a_split_without_rows_is_refused(tmp_path: Path) -> None:
    toy_datasets.write_splits(tmp_path / "sst2", {"train": []})
    assert refusal(tmp_path, resolve_task("sst2")).code == "rows_missing"


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    toy_datasets.make_opinions(tmp_path / "sst2", train=200)
    whole = gzip.compress((tmp_path / "sst2" / "train.jsonl").read_bytes())
    (tmp_path / "sst2" / "train.jsonl").unlink()
    (tmp_path / "sst2" / "train.jsonl.gz").write_bytes(whole[:-40])
    assert refusal(tmp_path, resolve_task("sst2")).code == "rows_invalid"


def test_a_data_set_that_is_nowhere_is_refused_without_the_hub(tmp_path: Path) -> None:
    found = refusal(tmp_path, resolve_task("sst2"))
    assert (found.code, found.param) == ("dataset_not_found", "task")


def test_class_names_become_class_ids(tmp_path: Path) -> None:
    rows = [{"sentence": "x", "label": name} for name in ("positive", "negative", "positive")]
    toy_datasets.write_splits(tmp_path / "sst2", {"train": rows})
    assert load(tmp_path, resolve_task("sst2")).labels == [1, 0, 1]


@pytest.mark.parametrize("ending", ["", "\n", "\n\n", "\n  \r\n"])
def test_blank_lines_and_a_byte_order_mark_are_no_rows(tmp_path: Path, ending: str) -> None:
    lines = [json.dumps(row) for row in toy_datasets.opinions(4, 0)]
    toy_datasets.write_splits(tmp_path / "sst2", {"validation": []})
    (tmp_path / "sst2" / "train.jsonl").write_text("\ufeff" + "\n\n".join(lines) + ending, encoding="utf-8")
    assert len(load(tmp_path, resolve_task("sst2")).labels) == 4
    assert len(load(tmp_path, resolve_task("sst2"), limit=3).labels) == 3


def test_what_was_decided_about_labels_is_noted(tmp_path: Path) -> None:
    task = CustomTask(dataset="stars", text=("t",), label="s", labels=("1", "2", "3"))
    toy_datasets.write_splits(tmp_path / "stars", {"train": [{"t": "x", "s": 2}, {"t": "x", "s": 1}]})
    rows = load(tmp_path, resolve_task(task))
    assert rows.labels == [1, 0]
    assert rows.notes == ("labels in column 's': 1 is class 0 (1), 2 is class 1 (2)",)
