"""Rows become batches: each row once an epoch, similar lengths together, and every batch a function of seed and number."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from pruning.data.encoding import BatchStream, EncodedRows, encode_rows, evaluation_batches, training_batches
from pruning.data.reader import Rows
from pruning.spec.tasks import CustomTask, resolve_task
from tests import toy_models

CPU = torch.device("cpu")
NUMBERS = CustomTask(dataset="numbers", text=("text",), label="y", kind="regression", label_words=("Yes",))


def lengths_of(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(3, 120, rows)


def encoded(lengths: list[int], *, types: bool = True) -> EncodedRows:
    ids = [[7 + i] * n for i, n in enumerate(lengths)]
    return EncodedRows(ids, [[1] * n for n in lengths] if types else None, torch.arange(len(lengths)), pad_id=3)


@pytest.mark.parametrize(("rows", "batch_size"), [(1000, 16), (37, 8), (5, 8), (1, 1)])
def test_an_epoch_has_every_row_once(rows: int, batch_size: int) -> None:
    batches = training_batches(lengths_of(rows), batch_size, seed=1, epoch=0)
    assert sorted(row for batch in batches for row in batch) == list(range(rows))
    assert len(batches) == -(-rows // batch_size)
    assert sorted(map(len, batches))[1:] == [batch_size] * (len(batches) - 1)


def test_batches_of_similar_length_need_far_less_padding_than_random_ones() -> None:
    lengths = lengths_of(4000)

    def padding(batches: list[list[int]]) -> float:
        padded = sum(len(batch) * lengths[batch].max() for batch in batches)
        return 1 - lengths.sum() / padded

    order = np.random.default_rng(0).permutation(4000)
    random = [order[i : i + 16].tolist() for i in range(0, 4000, 16)]
    assert padding(training_batches(lengths, 16, seed=1, epoch=0)) < 0.1 * padding(random)


def test_batches_depend_on_seed_and_epoch_alone() -> None:
    lengths = lengths_of(300)
    first = training_batches(lengths, 8, seed=1, epoch=0)
    torch.manual_seed(9)
    np.random.seed(9)
    assert training_batches(lengths, 8, seed=1, epoch=0) == first
    assert training_batches(lengths, 8, seed=1, epoch=1) != first
    assert training_batches(lengths, 8, seed=2, epoch=0) != first


def test_batches_come_in_no_order_of_length() -> None:
    lengths = lengths_of(800)
    longest = [lengths[batch].max() for batch in training_batches(lengths, 8, seed=1, epoch=0)]
    assert abs(np.corrcoef(longest, range(len(longest)))[0, 1]) < 0.3


def test_a_stream_gives_any_batch_by_its_number_in_any_order() -> None:
    lengths = lengths_of(50)
    stream = BatchStream(lengths, 8, seed=3)
    assert stream.per_epoch == 7
    expected = [batch for epoch in range(3) for batch in training_batches(lengths, 8, 3, epoch)]
    numbers = [20, 0, 6, 7, 13, 1, 20]
    assert [stream.rows(i) for i in numbers] == [expected[i] for i in numbers]
    assert [BatchStream(lengths, 8, seed=3).rows(i) for i in range(21)] == expected


def test_evaluation_reads_every_row_once_longest_first() -> None:
    lengths = lengths_of(45)
    batches = list(evaluation_batches(lengths, 8))
    rows = [row for batch in batches for row in batch]
    assert sorted(rows) == list(range(45))
    assert (np.diff(lengths[rows]) <= 0).all()


def test_a_batch_is_padded_on_the_right_to_a_multiple_of_eight() -> None:
    batch = encoded([3, 9, 5]).batch([1, 0], CPU)
    assert batch["input_ids"].tolist() == [[8] * 9 + [3] * 7, [7] * 3 + [3] * 13]
    assert batch["attention_mask"].tolist() == [[1] * 9 + [0] * 7, [1] * 3 + [0] * 13]
    assert batch["token_type_ids"].tolist() == [[1] * 9 + [0] * 7, [1] * 3 + [0] * 13]
    assert batch["labels"].tolist() == [1, 0]
    assert encoded([8]).batch([0], CPU)["input_ids"].shape == (1, 8)


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
    tokenizer = AutoTokenizer.from_pretrained(toy_models.make_model(tmp_path / "m"))
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
