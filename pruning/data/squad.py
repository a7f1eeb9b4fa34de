"""SQuAD: windows over long contexts, answers from start and end logits, exact match and F1.

Exact match and F1 are those of the official SQuAD v1.1 script: answers are compared without case, punctuation, articles and extra
blanks, each prediction with the gold answer that suits it best, averaged over questions. Values lie in 0..1. Called by
:mod:`pruning.data.encoding`, :mod:`pruning.evaluation` and :mod:`pruning.inference` for span tasks.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pruning.data.plain_text import tokenize_plain
from pruning.errors import PermanentError

N_BEST = 20
"""Candidate starts and candidate ends of each window."""
MAX_ANSWER_TOKENS = 30


@dataclass(frozen=True)
class Windows:
    """Positions of the windows of tokenized questions."""

    question: list[int]
    """Row of each window's question."""
    offsets: list[list[tuple[int, int] | None]]
    """For each token of each window the characters of the context it covers; None outside the context."""


def encode_windows(
    tokenizer: Any, questions: Sequence[str], contexts: Sequence[str], max_length: int, stride: int
) -> tuple[Any, Windows]:
    """Tokenize question and context, the context cut into windows that overlap by ``stride`` tokens.

    Returns the tokenizer's output and the windows. Raises PermanentError (``window_too_short``) where
    a question leaves no tokens for its context.
    """
    try:
        tokens = tokenize_plain(
            tokenizer,
            list(questions),
            list(contexts),
            truncation="only_second",
            max_length=max_length,
            stride=stride,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            padding=False,
            return_attention_mask=False,
        )
    except Exception as fault:  # the tokenizers library raises nothing more specific
        raise PermanentError(
            f"a question does not fit into {max_length} tokens with a stride of {stride}; "
            f"raise max_length or lower stride ({fault})",
            code="window_too_short",
            param="max_length",
        ) from fault
    offsets = [
        [span if part == 1 else None for span, part in zip(spans, tokens.sequence_ids(i), strict=True)]
        for i, spans in enumerate(tokens["offset_mapping"])
    ]
    return tokens, Windows(list(tokens["overflow_to_sample_mapping"]), offsets)


def target_positions(windows: Windows, answers: Sequence[dict[str, list[Any]]]) -> torch.Tensor:
    """Start and end token of the first gold answer in each window, [windows, 2]; 0 (the first token) where it is not in it or where
    there is none."""
    targets = torch.zeros((len(windows.question), 2), dtype=torch.int64)
    for i, (row, offsets) in enumerate(zip(windows.question, windows.offsets, strict=True)):
        if not answers[row]["text"]:
            continue
        first = answers[row]["answer_start"][0]
        last = first + len(answers[row]["text"][0])
        inside = [token for token, span in enumerate(offsets) if span and span[0] < last and span[1] > first]
        covered = inside and offsets[inside[0]][0] <= first and offsets[inside[-1]][1] >= last  # type: ignore[index]
        if covered:
            targets[i, 0], targets[i, 1] = inside[0], inside[-1]
    return targets


def extract_answers(
    logits: Sequence[npt.NDArray[np.float32]], windows: Windows, contexts: Sequence[str], questions: int
) -> list[str]:
    """The best answer to each question from the logits [tokens, 2] of its windows; "" where no span is possible."""
    return best_spans(logits, windows, contexts, questions)[0]


def best_spans(
    logits: Sequence[npt.NDArray[np.float32]], windows: Windows, contexts: Sequence[str], questions: int
) -> tuple[list[str], list[float]]:
    """The best answer to each question and the sum of its start and end logits; "" and -inf where no span is possible."""
    best = [-np.inf] * questions
    found = [""] * questions
    for scores, row, offsets in zip(logits, windows.question, windows.offsets, strict=True):
        starts = np.argsort(-scores[:, 0], kind="stable")[:N_BEST]
        ends = np.argsort(-scores[:, 1], kind="stable")[:N_BEST]
        for start in starts:
            for end in ends:
                first, last = offsets[start], offsets[end]
                if first is None or last is None or not start <= end < start + MAX_ANSWER_TOKENS:
                    continue
                score = float(scores[start, 0] + scores[end, 1])
                if score > best[row]:
                    best[row] = score
                    found[row] = contexts[row][first[0] : last[1]]
    return found, best


def compute_metrics(predictions: Sequence[str], golds: Sequence[Sequence[str]]) -> dict[str, float]:
    """Mean F1 and exact match of one prediction per question against its gold answers."""
    pairs = list(zip(predictions, golds, strict=True))
    return {
        "f1": float(np.mean([max(_f1(prediction, gold) for gold in some) for prediction, some in pairs])),
        "exact_match": float(np.mean([max(exact_score(prediction, gold) for gold in some) for prediction, some in pairs])),
    }


def normalize_answer(text: str) -> str:
    """Lower case, without punctuation, articles and extra blanks, in the official script's order."""
    plain = "".join(letter for letter in text.lower() if letter not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", plain).split())


def exact_score(prediction: str, gold: str) -> float:
    """1 where both are the same once normalised, else 0."""
    return float(normalize_answer(prediction) == normalize_answer(gold))


def _f1(prediction: str, gold: str) -> float:
    mine, theirs = normalize_answer(prediction).split(), normalize_answer(gold).split()
    common = (Counter(mine) & Counter(theirs)).total()
    if common == 0:
        return 0.0
    precision, recall = common / len(mine), common / len(theirs)
    return 2 * precision * recall / (precision + recall)
