"""Answers of span tasks: what the trainer would refuse is refused for a folder before a job is accepted."""

import json
from pathlib import Path
from typing import Any

import pytest

from pruning.data.local_check import check_dataset
from pruning.errors import PermanentError
from tests.model_folders import write_rows

GOOD = {"question": "what", "context": "a fine day", "answers": {"text": ["fine"], "answer_start": [2]}}


@pytest.mark.parametrize(
    "answers",
    [
        None,
        [[]],
        {},
        {"text": ["fine"]},
        {"text": [], "answer_start": []},
        {"text": ["fine"], "answer_start": [3]},
        {"text": [1], "answer_start": [2]},
        {"text": ["fine"], "answer_start": [True]},
        "fine",
    ],
)
def test_a_folder_whose_answers_stand_nowhere(tmp_path: Path, answers: Any) -> None:
    write_rows(tmp_path / "squad" / "train.jsonl", [GOOD, GOOD])
    write_rows(tmp_path / "squad" / "validation.jsonl", [GOOD, GOOD])
    check_dataset(tmp_path / "squad", "squad")
    write_rows(tmp_path / "squad" / "validation.jsonl", [GOOD, GOOD | {"answers": answers}])
    with pytest.raises(PermanentError, match=r"row 2 |answers") as refusal:
        check_dataset(tmp_path / "squad", "squad")
    assert refusal.value.param == "task"
    assert refusal.value.code in ("rows_invalid", "column_missing")


@pytest.mark.parametrize("row", [{"sentence": "\ud800", "label": 1}, {"sentence": "x", "label": 1, "\udfff": 2}])
def test_half_a_surrogate_pair_in_a_folder(tmp_path: Path, row: dict[str, Any]) -> None:
    for split in ("train", "validation"):
        (tmp_path / f"{split}.jsonl").write_text(f'{{"sentence": "x", "label": 0}}\n{json.dumps(row)}\n')
    with pytest.raises(PermanentError) as refusal:
        check_dataset(tmp_path, "sst2")
    assert refusal.value.code == "rows_invalid"
    refusal.value.message.encode()
