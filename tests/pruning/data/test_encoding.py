"""Texts become tokens and labels, and chosen rows one padded batch."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer

from pruning.data.encoding import EncodedRows, encode_rows
from pruning.data.reader import Rows
from pruning.spec.custom_task import CustomTask
from pruning.spec.tasks import resolve_task
from tests import toy_models

CPU = torch.device("cpu")
NUMBERS = CustomTask(dataset="numbers", text=("text",), label="y", kind="regression", label_words=("Yes",))


def lengths_of(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(3, 120, rows)


def encoded(lengths: list[int], *, types: bool = True) -> EncodedRows:
    ids = [[7 + i] * n for i, n in enumerate(lengths)]
    return EncodedRows(ids, [[1] * n for n in lengths] if types else None, torch.arange(len(lengths)), pad_id=3)


def test_a_batch_is_padded_on_the_right_to_a_multiple_of_eight() -> None:
    batch = encoded([3, 9, 5]).batch([1, 0], CPU)
    assert batch["input_ids"].tolist() == [[8] * 9 + [3] * 7, [7] * 3 + [3] * 13]
    assert batch["attention_mask"].tolist() == [[1] * 9 + [0] * 7, [1] * 3 + [0] * 13]
    assert batch["token_type_ids"].tolist() == [[1] * 9 + [0] * 7, [1] * 3 + [0] * 13]
    assert batch["labels"].tolist() == [1, 0]
    assert encoded([8]).batch([0], CPU)["input_ids"].shape == (1, 8)


def test_nothing_is_padded_beyond_what_the_model_reads() -> None:
    ids = [[7] * length for length in (3, 48, 49, 50)]
    rows = EncodedRows(ids, None, torch.arange(4), pad_id=3, max_width=50)
    widths = [rows.batch([i], CPU)["input_ids"].shape[1] for i in range(4)]
    assert widths == [8, 48, 50, 50]
    assert rows.batch([0], CPU, padded_like=[0, 2])["input_ids"].shape[1] == 50


def test_each_row_of_a_batch_has_its_own_tokens_in_their_order() -> None:
    random = np.random.default_rng(1)
    lengths = lengths_of(30).tolist()
    ids, types = ([random.integers(1, 30000, n).tolist() for n in lengths] for _ in range(2))
    rows = [17, 3, 29, 0, 3]
    batch = EncodedRows(ids, types, torch.arange(30), pad_id=0).batch(rows, CPU, padded_like=range(30))
    assert batch["input_ids"].shape[1] == -(-max(lengths) // 8) * 8
    for i, row in enumerate(rows):
        assert batch["input_ids"][i, : lengths[row]].tolist() == ids[row]
        assert batch["token_type_ids"][i, : lengths[row]].tolist() == types[row]
        assert int(batch["attention_mask"][i].sum()) == lengths[row]
        assert not batch["input_ids"][i, lengths[row] :].any()
    assert {tensor.dtype for tensor in batch.values()} == {torch.int64}
    assert not any(tensor.is_pinned() for tensor in batch.values()), "memory is pinned for a GPU alone"


def test_a_model_without_token_types_gets_none() -> None:
    assert "token_type_ids" not in encoded([4], types=False).batch([0], CPU)


def test_pairs_are_joined_by_separators_and_the_longer_text_is_cut(tmp_path: Path) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(toy_models.make_model(tmp_path / "m"))
    rows = Rows((["the film " * 20], ["a dull day"]), [1], "given")
    got = encode_rows(rows, resolve_task("mrpc"), tokenizer, 16)
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    second = tokenizer.convert_tokens_to_ids(["a", "dull", "day"])
    first = tokenizer.convert_tokens_to_ids(["the", "film"]) * 10
    assert got.input_ids[0] == [cls, *first[:10], sep, *second, sep]
    assert got.token_type_ids == [[0] * 12 + [1] * 4]


def test_encoding_leaves_each_row_at_its_own_length_and_keeps_the_kind_of_label(tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(toy_models.make_model(tmp_path / "m"))
    classes = encode_rows(Rows((["a", "a b c the film"],), [1, 0], "given"), resolve_task("sst2"), tokenizer, 32)
    assert classes.lengths.tolist() == [3, 7]
    assert classes.labels.dtype == torch.int64
    numbers = encode_rows(Rows((["a"],), [2], "given"), resolve_task(NUMBERS), tokenizer, 32)
    assert numbers.labels.dtype == torch.float32
