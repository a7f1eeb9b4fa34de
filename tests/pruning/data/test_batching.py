"""Batches: each row once an epoch, similar lengths together, and every batch a function of seed and number."""

import numpy as np
import pytest
import torch

from pruning.data.batching import BatchStream, evaluation_batches, training_batches


def lengths_of(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(3, 120, rows)


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
