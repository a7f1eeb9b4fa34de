"""A local data set folder is read before a job is accepted as the trainer reads it: every row, by the same rules."""

import json
from pathlib import Path
from typing import Any

import pytest

from pruning.data.local_check import check_dataset
from pruning.data.reader import load_rows
from pruning.errors import PermanentError
from pruning.sources import Sources
from pruning.spec.custom_task import CustomTask
from pruning.spec.tasks import resolve_task

TASK = CustomTask(dataset="d", text=("t",), label="y", labels=("1", "2", "3"))
GOOD = [{"t": "a", "y": 1}, {"t": "b", "y": 2}, {"t": "c", "y": 3}]


def write(folder: Path, rows: list[Any], ending: str = "\n") -> Path:
    folder.mkdir(exist_ok=True)
    for split in ("train", "validation"):
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + ending, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "rows", [GOOD, ["\ufeff" + json.dumps(GOOD[0]), "", *GOOD], [{"t": "a", "y": "2"}], [{"t": "a", "y": 1.0}]]
)
def test_what_is_accepted_can_be_read(tmp_path: Path, rows: list[Any]) -> None:
    check_dataset(write(tmp_path / "d", rows, "\n\n"), TASK)
    load_rows(resolve_task(TASK), "train", Sources(datasets_dir=tmp_path, hub=False))


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ("{", "rows_invalid"),
        ("3", "rows_invalid"),
        ({"t": "x"}, "column_missing"),
        ({"t": None, "y": 1}, "rows_invalid"),
        ({"t": "x", "y": 0}, "labels_mismatch"),
        ({"t": "x", "y": "1"}, "labels_mismatch"),
        ({"t": "x", "y": None}, "labels_mismatch"),
    ],
)
def test_what_the_trainer_refuses_is_refused_before(tmp_path: Path, bad: Any, code: str) -> None:
    folder = write(tmp_path / "d", [*GOOD, bad, *GOOD])
    with pytest.raises(PermanentError) as early:
        check_dataset(folder, TASK)
    with pytest.raises(PermanentError) as late:
        load_rows(resolve_task(TASK), "train", Sources(datasets_dir=tmp_path, hub=False))
    assert early.value.code == late.value.code == code
    check_dataset(folder, TASK, {"train": 3, "validation": 3})  # rows that the run does not read
    write(tmp_path / "d", GOOD)
    check_dataset(folder, TASK)  # fixed: nothing of the previous file is cached
