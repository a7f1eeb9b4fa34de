"""Local data sets: splits and columns are checked from the first row."""

import gzip
from pathlib import Path
from typing import Any

import pytest

from pruning.data.jsonl import dataset_folder_name, find_dataset, find_split, read_first_row
from pruning.data.local_check import check_dataset
from pruning.errors import PermanentError
from pruning.sources import Sources
from pruning.spec.custom_task import CustomTask
from pruning.spec.tasks import TASKS
from tests.model_folders import write_rows

SST2 = {"sentence": "a fine film", "label": 1}
CUSTOM = CustomTask(dataset="tickets", text=("body",), label="queue", label_words=("yes", "no"), validation_split="dev")


def refusal(folder: Path, task: str | CustomTask) -> PermanentError:
    with pytest.raises(PermanentError) as caught:
        check_dataset(folder, task)
    return caught.value


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz"])
def test_complete_data_sets_pass(tmp_path: Path, ending: str) -> None:
    for name, task in TASKS.items():
        label = {"text": ["x"], "answer_start": [0]} if task.kind == "span" else 0
        row = dict.fromkeys(task.text, "x") | {task.label: label}
        for split in (task.train_split, *task.validation_splits):
            write_rows(tmp_path / name / f"{split}{ending}", [row])
        check_dataset(tmp_path / name, name)


def test_a_missing_split_names_those_there_are(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", [SST2])
    write_rows(tmp_path / "test.jsonl.gz", [SST2])
    found = refusal(tmp_path, "sst2")
    assert (found.code, found.param) == ("split_missing", "task")
    assert "validation.jsonl" in str(found)
    assert "test, train" in str(found)


def test_a_custom_tasks_fault_names_its_own_field(tmp_path: Path) -> None:
    row: dict[str, Any] = {"body": "x", "queue": 0}
    assert refusal(tmp_path, CUSTOM).param == "task.train_split"
    write_rows(tmp_path / "train.jsonl", [row])
    assert refusal(tmp_path, CUSTOM).param == "task.validation_split"
    write_rows(tmp_path / "dev.jsonl", [{"text": "x", "queue": 0}])
    found = refusal(tmp_path, CUSTOM)
    assert (found.code, found.param) == ("column_missing", "task.text.0")
    assert "text, queue" in str(found)
    write_rows(tmp_path / "dev.jsonl", [{"body": "x"}])
    assert refusal(tmp_path, CUSTOM).param == "task.label"
    write_rows(tmp_path / "dev.jsonl", [row])
    check_dataset(tmp_path, CUSTOM)


@pytest.mark.parametrize("split", ["../secret", "a/../../secret", "..", "/etc/passwd"])
def test_a_split_cannot_leave_its_folder(tmp_path: Path, split: str) -> None:
    write_rows(tmp_path / "secret.jsonl", [SST2])
    (tmp_path / "data").mkdir()
    with pytest.raises(PermanentError) as caught:
        find_split(tmp_path / "data", split)
    assert caught.value.code == "split_missing"


@pytest.mark.parametrize("content", [b"", b"\n", b"{", b"[1]\n", b"\xff\n"])
def test_a_first_line_that_is_no_row(tmp_path: Path, content: bytes) -> None:
    for name, stored in (("a.jsonl", content), ("b.jsonl.gz", gzip.compress(content)), ("c.jsonl.gz", b"not gzip")):
        (tmp_path / name).write_bytes(stored)
        with pytest.raises(PermanentError) as caught:
            read_first_row(tmp_path / name)
        assert caught.value.code == "rows_invalid"


def test_folder_names() -> None:
    assert dataset_folder_name("sst2") == "sst2"
    assert dataset_folder_name(CUSTOM) == "tickets"


def test_uploaded_data_sets_come_first(tmp_path: Path) -> None:
    sources = Sources(datasets_dir=tmp_path / "datasets", uploads_dir=tmp_path / "uploads")
    assert find_dataset(sources, "tickets") is None
    (tmp_path / "datasets" / "tickets").mkdir(parents=True)
    assert find_dataset(sources, "tickets") == tmp_path / "datasets" / "tickets"
    (tmp_path / "uploads" / "tickets").mkdir(parents=True)
    assert find_dataset(sources, "tickets") == tmp_path / "uploads" / "tickets"
    assert find_dataset(Sources(), "tickets") is None
