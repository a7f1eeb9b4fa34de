"""Made masks of known entropy, in the shapes of BERT-base: even ones and ones with uneven rows and columns."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

BERT_BASE = ((768, 768), (768, 768), (768, 768), (768, 768), (3072, 768), (768, 3072)) * 12
_ROWS_BETA, _COLUMNS_BETA = 0.3, 2.0
_SAMPLE = 8
"""Every eighth row and column is enough to find the shift that gives the mean."""


class Made(NamedTuple):
    """Masks and what they cost at least."""

    masks: list[npt.NDArray[np.bool_]]
    entropy_bytes: float
    """Of the process that made them, so without any cost of describing it."""


def even(share: float, shapes: tuple[tuple[int, int], ...] = BERT_BASE, seed: int = 0) -> Made:
    """Every bit is 1 with the same probability."""
    random = np.random.default_rng(seed)
    masks = [random.random(shape, dtype=np.float32) < share for shape in shapes]
    return Made(masks, _entropy_bits(np.array([share])) * sum(mask.size for mask in masks) / 8)


def uneven(share: float, shapes: tuple[tuple[int, int], ...] = BERT_BASE, seed: int = 0) -> Made:
    """The log odds of a bit are a row's plus a column's, from Beta(0.3) and Beta(2) rates of the same mean."""
    random = np.random.default_rng(seed)
    masks, bits = [], 0.0
    for rows, columns in shapes:
        odds = _odds(random, _ROWS_BETA, share, rows)[:, None] + _odds(random, _COLUMNS_BETA, share, columns)
        chances = _sigmoid(odds + _shift(odds[::_SAMPLE, ::_SAMPLE], share))
        masks.append(random.random((rows, columns), dtype=np.float32) < chances)
        bits += _entropy_bits(chances)
    return Made(masks, bits / 8)


def _odds(random: np.random.Generator, a: float, mean: float, lines: int) -> npt.NDArray[np.float32]:
    rates = random.beta(a, a * (1 - mean) / mean, lines).clip(1e-9, 1 - 1e-9)
    odds: npt.NDArray[np.float64] = np.log(rates / (1 - rates))
    return odds.astype(np.float32)


def _shift(odds: npt.NDArray[np.float32], mean: float) -> np.float32:
    """What to add to log odds so that their probabilities have the mean, by bisection."""
    low, high = -40.0, 40.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if _sigmoid(odds + np.float32(middle)).mean() < mean else (low, middle)
    return np.float32(low)


def _sigmoid(odds: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    chances: npt.NDArray[np.floating] = 1 / (1 + np.exp(-odds))
    return chances.astype(np.float32, copy=False)


def _entropy_bits(chances: npt.NDArray[np.floating]) -> float:
    """Total of the binary entropies."""
    inside = chances.astype(np.float64).clip(1e-12, 1 - 1e-12)
    return float(-(inside * np.log2(inside) + (1 - inside) * np.log2(1 - inside)).sum())
