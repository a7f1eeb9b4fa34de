"""Bad rows of every kind of task are skipped and counted by reason and number, up to the limit; the rest is read as if alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pruning.data.bad_rows import BadRows
from pruning.data.encoding import encode_fitting
from pruning.data.local_check import check_dataset
from pruning.data.reader import Rows, load_rows
from pruning.errors import PermanentError
from pruning.sources import Sources
from pruning.spec.custom_task import CustomTask
from pruning.spec.tasks import Task, resolve_task
from tests import toy_datasets

GOOD: dict[str, Any] = {
    "classification": {"text": "a fine film", "y": "good"},
    "regression": {"text": "a fine film", "y": 0.5},
    "multilabel": {"text": "a fine film", "y": ["good"]},
    "token-classification": {"text": ["Ada", "wrote"], "y": ["B-PER", "O"]},
    "span": {"text": "who wrote?", "context": "Ada wrote", "y": {"text": ["Ada"], "answer_start": [0]}},
}
BAD: list[tuple[str, dict[str, Any], str]] = [
    ("classification", {"text": None}, "text_invalid"),
    ("classification", {"y": None}, "label_missing"),
    ("classification", {"y": "fair"}, "label_invalid"),
    ("classification", {"y": 1}, "label_mixed"),
    ("regression", {"y": "much"}, "label_invalid"),
    ("multilabel", {"y": "good"}, "label_invalid"),
    ("multilabel", {"y": ["fair"]}, "label_invalid"),
    ("token-classification", {"text": []}, "words_invalid"),
    ("token-classification", {"y": ["O", "I-PER"]}, "tags_invalid"),
    ("token-classification", {"y": ["O"]}, "tags_invalid"),
    ("token-classification", {"y": ["B-LOC", "O"]}, "tag_unknown"),
    ("span", {"y": {"text": ["Bob"], "answer_start": [0]}}, "answers_invalid"),
    ("span", {"y": {"text": ["Ada"], "answer_start": [2]}}, "answers_invalid"),
]


def task_of(kind: str, limit: float | None = 0.5) -> Task:
    text = ("text", "context") if kind == "span" else ("text",)
    fields: dict[str, Any] = {"dataset": "d", "text": text, "label": "y", "kind": kind}
    if kind in ("classification", "multilabel"):
        fields["labels"] = ("good", "bad")
    if kind == "classification":
        fields["label_words"] = ("great", "terrible")
    if kind == "regression":
        fields["label_words"] = ("Yes",)
    if kind == "token-classification":
        fields["labels"] = ("O", "B-PER", "I-PER")
    return replace(resolve_task(CustomTask.model_validate(fields)), bad_rows_limit=limit)


def load(root: Path, task: Task, split: str = "train", limit: int | None = None) -> Rows:
    return load_rows(task, split, Sources(datasets_dir=root, hub=False), limit)


@pytest.mark.parametrize(("kind", "change", "reason"), BAD)
def test_a_bad_row_is_skipped_and_counted_by_its_number(tmp_path: Path, kind: str, change: dict[str, Any], reason: str) -> None:
    good, bad = GOOD[kind], GOOD[kind] | change
    toy_datasets.write_splits(tmp_path / "d", {"train": [good, bad, good, good, bad, good]})
    task = task_of(kind)
    rows = load(tmp_path, task)
    assert rows.bad is not None
    assert rows.bad.rows == {reason: [2, 5]}
    assert (rows.bad.count, rows.bad.read, list(rows.numbers)) == (2, 6, [1, 3, 4, 6])
    toy_datasets.write_splits(tmp_path / "d", {"train": [good] * 4})
    alone = load(tmp_path, replace(task, bad_rows_limit=None))
    assert (rows.texts, rows.labels, rows.words, rows.notes) == (alone.texts, alone.labels, alone.words, alone.notes)
    toy_datasets.write_splits(tmp_path / "d", {"train": [good, bad]})
    with pytest.raises(PermanentError) as caught:
        load(tmp_path, replace(task, bad_rows_limit=None))
    assert caught.value.code in ("rows_invalid", "labels_mismatch")


def test_lines_that_are_no_rows_and_rows_without_a_column_are_skipped_too(tmp_path: Path) -> None:
    toy_datasets.write_splits(tmp_path / "d", {"train": [GOOD["classification"], {"y": "good"}]})
    file = tmp_path / "d" / "train.jsonl"
    file.write_text("{\n[1]\n" + file.read_text() + file.read_text())
    rows = load(tmp_path, task_of("classification", 0.7))
    assert rows.bad is not None
    assert rows.bad.rows == {"unreadable": [1, 2], "column_missing": [4, 6]}
    assert list(rows.numbers) == [3, 5]
    assert list(load(tmp_path, task_of("classification", 0.8), limit=4).numbers) == [3]


def test_above_the_limit_the_split_is_refused(tmp_path: Path) -> None:
    good, bad = GOOD["classification"], GOOD["classification"] | {"y": None}
    toy_datasets.write_splits(tmp_path / "d", {"train": [good] * 8 + [bad] * 2})
    assert load(tmp_path, task_of("classification", 0.2)).labels == [0] * 8
    with pytest.raises(PermanentError) as caught:
        load(tmp_path, task_of("classification", 0.19))
    assert (caught.value.code, caught.value.param) == ("too_many_bad_rows", "bad_rows_limit")
    assert "2 of 10 " in caught.value.message
    assert "0.19" in caught.value.message
    assert "9, 10" in caught.value.message
    assert "label_words" not in caught.value.message


def test_a_task_that_no_row_fits_is_refused_as_if_nothing_were_skipped(tmp_path: Path) -> None:
    toy_datasets.write_splits(tmp_path / "d", {"train": [{"text": "a", "other": 1}] * 3})
    with pytest.raises(PermanentError) as caught:
        load(tmp_path, task_of("classification", 0.9))
    assert caught.value.code == "column_missing"


def test_rows_held_out_keep_their_numbers_in_the_file(tmp_path: Path) -> None:
    good, bad = GOOD["classification"], GOOD["classification"] | {"y": None}
    given = [bad, *({**good, "text": f"film {i}"} for i in range(2, 21)), bad]
    toy_datasets.write_splits(tmp_path / "d", {"train": given})
    task = task_of("classification").holding_out(0.25)
    rest, held_out = load(tmp_path, task), load(tmp_path, task, task.validation_splits[0])
    assert sorted([*rest.numbers, *held_out.numbers]) == list(range(2, 21))
    for rows in (rest, held_out):
        assert [given[number - 1]["text"] for number in rows.numbers] == rows.texts[0]
    assert rest.bad is not None
    assert held_out.bad is not None
    assert (rest.bad.rows, held_out.bad.count) == ({"label_missing": [1, 21]}, 0)


class _Words:
    """A tokenizer without special tokens: one token per word."""

    pad_token_id, model_max_length, is_fast = 0, 64, True
    all_special_ids: tuple[int, ...] = ()
    unk_token_id = None

    def __call__(self, texts: list[str], **_: Any) -> dict[str, Any]:
        ids = [[len(word) for word in text.split()] for text in texts]
        return {"input_ids": ids, "special_tokens_mask": [[0] * len(row) for row in ids]}


def test_rows_without_tokens_are_skipped_after_the_reading(tmp_path: Path) -> None:
    good, empty = GOOD["classification"], GOOD["classification"] | {"text": " "}
    toy_datasets.write_splits(tmp_path / "d", {"train": [good, empty, good]})
    task = task_of("classification")
    rows, encoded = encode_fitting(load(tmp_path, task), task, _Words(), 16)
    assert (list(rows.numbers), len(encoded)) == ([1, 3], 2)
    assert rows.bad is not None
    assert rows.bad.rows == {"no_tokens": [2]}
    with pytest.raises(PermanentError, match="row 2 ") as caught:
        encode_fitting(load(tmp_path, replace(task, bad_rows_limit=None)), task, _Words(), 16)
    assert caught.value.code == "rows_invalid"
    with pytest.raises(PermanentError) as caught:
        encode_fitting(load(tmp_path, replace(task, bad_rows_limit=0.3)), task, _Words(), 16)
    assert caught.value.code == "too_many_bad_rows"


def test_a_local_data_set_is_counted_before_the_job_is_accepted(tmp_path: Path) -> None:
    good, bad = GOOD["classification"], GOOD["classification"] | {"y": None}
    toy_datasets.write_splits(tmp_path / "d", {"train": [good] * 8 + [bad] * 2, "validation": [bad, good, good]})
    given = CustomTask(dataset="d", text=("text",), label="y", labels=("good", "bad"), label_words=("great", "terrible"))
    assert check_dataset(tmp_path / "d", given, bad_rows_limit=0.5) is None
    for limit, code in ((0.3, "too_many_bad_rows"), (None, "labels_mismatch")):
        with pytest.raises(PermanentError) as caught:
            check_dataset(tmp_path / "d", given, bad_rows_limit=limit)
        assert caught.value.code == code


def test_a_description_has_counts_and_as_many_numbers_as_fit() -> None:
    bad = BadRows("split 'train'", 0.5, read=100)
    for number in range(1, 31):
        bad.reject(number, "label_missing", PermanentError(f"row {number}: none", code="labels_mismatch"))
    assert "30: row 1, 2, 3, 4, 5 and 25 more" in bad.described(5)
    (reason,) = bad.numbers()["reasons"]
    assert (reason["count"], reason["rows"], reason["example"]) == (30, list(range(1, 31)), "row 1: none")
