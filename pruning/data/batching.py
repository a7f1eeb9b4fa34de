"""Batches of rows of similar length, for training and evaluation, as functions of seed and position.

Called by :mod:`pruning.training` and :mod:`pruning.evaluation`. There is no cursor: micro-batch i of a run is computed from
``(seed, i)``, so a resumed run needs only its step number.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

POOL_BATCHES = 50
"""Batches sorted by length together: enough that padding is small, few enough that the order stays random."""


def training_batches(lengths: npt.NDArray[np.int64], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Row numbers of every batch of one epoch, in order; each row once, rows of a batch of similar length."""
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(lengths))
    batches: list[list[int]] = []
    for start in range(0, len(order), POOL_BATCHES * batch_size):
        pool = order[start : start + POOL_BATCHES * batch_size]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches += [pool[i : i + batch_size].tolist() for i in range(0, len(pool), batch_size)]
    return [batches[i] for i in random.permutation(len(batches))]


def spaced_rows(rows: int, count: int) -> list[int]:
    """Numbers of ``count`` of ``rows`` rows, evenly spaced, all of them where there are fewer: a split sorted by label gives
    every class its share."""
    count = min(rows, count)
    return [i * rows // count for i in range(count)]


class BatchStream:
    """Endless micro-batches over the epochs, addressable by number: ``stream.rows(i)`` depends on seed and i alone."""

    def __init__(self, lengths: npt.NDArray[np.int64], batch_size: int, seed: int) -> None:
        self.per_epoch = -(-len(lengths) // batch_size)
        self._lengths, self._batch_size, self._seed = lengths, batch_size, seed
        self._epoch = -1
        self._batches: list[list[int]] = []

    def rows(self, i: int) -> list[int]:
        """Row numbers of micro-batch ``i`` of the run, counted from 0 over all epochs."""
        epoch, position = divmod(i, self.per_epoch)
        if epoch != self._epoch:
            self._batches = training_batches(self._lengths, self._batch_size, self._seed, epoch)
            self._epoch = epoch
        return self._batches[position]

    def seen(self, micro_batches: int) -> list[int]:
        """Numbers of the rows in the first ``micro_batches`` of the run, ascending."""
        return sorted({row for i in range(min(micro_batches, self.per_epoch)) for row in self.rows(i)})


def evaluation_batches(lengths: npt.NDArray[np.int64], batch_size: int) -> Iterator[list[int]]:
    """Row numbers of batches over all rows, longest first (so that memory runs out at once or never)."""
    order = np.argsort(-lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size].tolist()
