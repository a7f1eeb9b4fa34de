"""Count-based word vectors with which the language model starts, instead of random ones.

Started from random embeddings, a model of this size spends its whole budget on a plateau: good and bad words
have nearly mirror-image neighbours, and reading 100,000 passages did not part them.  Counting which pieces share a
passage finds the same distinction in seconds.  The counts see plain text only, no labels.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# Far enough to reach from one opinion of a passage into the next.
WINDOW = 12


def _cooccurrence(rows: list[list[int]], size: int) -> NDArray[np.float64]:
    """How often two pieces stand at most WINDOW apart in one passage; symmetric."""
    gap = [-1] * WINDOW
    stream = np.array([piece for row in rows for piece in (*row, *gap)], dtype=np.int64)
    counts = np.zeros(size * size)
    for distance in range(1, WINDOW + 1):
        left, right = stream[:-distance], stream[distance:]
        both = (left >= 0) & (right >= 0)
        counts += np.bincount(left[both] * size + right[both], minlength=size * size)
    table = counts.reshape(size, size)
    return table + table.T


def word_vectors(rows: list[list[int]], size: int, width: int) -> Tensor:
    """One vector of norm 1 per piece: leading eigenvectors of the positive pointwise mutual information."""
    table = _cooccurrence(rows, size)
    # Pieces that never occur (special tokens, rare letters) keep a tiny share, so that no logarithm fails.
    share = np.maximum(table.sum(axis=1), 1.0) / table.sum()
    smoothed = (table + 1e-3) / table.sum()
    information = np.maximum(np.log(smoothed / np.outer(share, share)), 0.0)
    values, vectors = np.linalg.eigh(information)
    leading = np.argsort(-np.abs(values))[:width]
    # The signs of eigenvectors are arbitrary: make the largest entry positive, for the same result everywhere.
    chosen = vectors[:, leading]
    chosen = chosen * np.sign(chosen[np.abs(chosen).argmax(axis=0), np.arange(width)])
    scaled = chosen * np.sqrt(np.abs(values[leading]))
    norms = np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1e-6)
    return torch.tensor(scaled / norms, dtype=torch.float32)
