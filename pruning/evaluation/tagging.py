"""Token classification: tags of words from logits, entity-level precision, recall and F1 by seqeval's definition, token accuracy.

Entities are those of :mod:`pruning.data.iob`. A word without a token, beyond the longest input above all, is given no entity and
counts as missed: as wrong in token accuracy, too. Called by :mod:`pruning.evaluation.evaluate`.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pruning.data.iob import entity_scores, total_score
from pruning.data.tagged_words import WordTokens
from pruning.spec.tags import OUTSIDE


def tags_of(logits: Sequence[npt.NDArray[np.float32]], words: WordTokens, names: Sequence[str]) -> list[list[str]]:
    """The tag of every word of each row, from the logits [tokens, C] of the row; ``O`` for a word without a token."""
    found = []
    for scores, first in zip(logits, words.first, strict=True):
        best = scores.argmax(axis=1)
        found.append([OUTSIDE if token is None else names[best[token]] for token in first])
    return found


def compute_metrics(predictions: Sequence[Sequence[str]], labels: Sequence[Sequence[str]], words: WordTokens) -> dict[str, float]:
    """``f1``, ``precision`` and ``recall`` of entities, ``token_accuracy`` over words, and ``words_cut``, words without a token."""
    total = total_score(entity_scores(labels, predictions).values())
    pairs = [
        token is not None and given == right
        for tags, gold, first in zip(predictions, labels, words.first, strict=True)
        for given, right, token in zip(tags, gold, first, strict=True)
    ]
    return {
        "f1": total.f1,
        "precision": total.precision,
        "recall": total.recall,
        "token_accuracy": sum(pairs) / max(len(pairs), 1),
        "words_cut": float(words.missing),
    }
