"""SQuAD v2: answers or none from start and end logits, and the official metrics with the best no-answer thresholds.

The first position of a window stands for "no answer". Its score is the sum of both logits there, of several windows the smallest
(as in BERT's ``run_squad``); the score difference of a question is that minus the score of its best span, and above a threshold
the answer is "". Metrics are those of the official script (``evaluate-v2.0.py``) in 0..1 with the score difference in the place
of ``na_prob``: ``exact`` and ``f1`` at the threshold 0, ``HasAns_*`` and ``NoAns_*`` where there are such questions, and
``best_*`` with ``best_*_thresh``. Called by :mod:`pruning.evaluation` for span tasks whose rows may have no answer.
"""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from pruning.data.squad import Windows, best_spans, exact_score, normalize_answer

DEFAULT_THRESHOLD = 0.0
_NO_SPAN = 1e6
"""Score difference of a question without a possible span: finite, and above all others."""


def spans_and_differences(
    logits: Sequence[npt.NDArray[np.float32]], windows: Windows, contexts: Sequence[str]
) -> tuple[list[str], list[float]]:
    """The best span of each question, and its score difference, from the logits [tokens, 2] of its windows."""
    spans, scores = best_spans(logits, windows, contexts, len(contexts))
    nothing = [np.inf] * len(contexts)
    for window, row in zip(logits, windows.question, strict=True):
        nothing[row] = min(nothing[row], float(window[0, 0] + window[0, 1]))
    pairs = zip(nothing, scores, strict=True)
    return spans, [none - best if np.isfinite(best) else _NO_SPAN for none, best in pairs]


def answers_at(spans: Sequence[str], differences: Sequence[float], threshold: float) -> list[str]:
    """The spans, with "" where the score difference is above the threshold."""
    return ["" if difference > threshold else span for span, difference in zip(spans, differences, strict=True)]


def compute_metrics(
    spans: Sequence[str], differences: Sequence[float], golds: Sequence[Sequence[str]], threshold: float = DEFAULT_THRESHOLD
) -> dict[str, float]:
    """The official metrics of one span per question with its score difference; ``golds`` without a text are no answer."""
    has = [bool(texts) for texts in golds]
    by_metric = {"exact": _raw(exact_score, spans, golds), "f1": _raw(f1_score, spans, golds)}
    found: dict[str, float] = {}
    pairs = list(zip(differences, has, strict=True))
    scored = {
        name: [
            score if difference <= threshold else float(not answer) for score, (difference, answer) in zip(raw, pairs, strict=True)
        ]
        for name, raw in by_metric.items()
    }
    for prefix, wanted in (("", None), ("HasAns_", True), ("NoAns_", False)):
        rows = [row for row, answer in enumerate(has) if wanted is None or answer is wanted]
        for name, scores in scored.items() if rows else ():
            found[prefix + name] = sum(scores[row] for row in rows) / len(rows)
    for name, raw in by_metric.items():
        found[f"best_{name}"], found[f"best_{name}_thresh"] = best_threshold(spans, raw, differences, has)
    return found


def best_threshold(
    spans: Sequence[str], raw: Sequence[float], differences: Sequence[float], has: Sequence[bool]
) -> tuple[float, float]:
    """The best mean score over all thresholds, and the threshold: ``find_best_thresh`` of the official script.

    Where it is best to answer no question, the threshold is one below the smallest difference; the script says 0, which is
    right for probabilities alone.
    """
    score = best = float(len(has) - sum(has))
    threshold = min(differences) - 1.0
    for row in sorted(range(len(raw)), key=differences.__getitem__):
        score += raw[row] if has[row] else -bool(spans[row])
        if score > best:
            best, threshold = score, differences[row]
    return best / len(raw), threshold


def f1_score(prediction: str, gold: str) -> float:
    """F1 of the words of both once normalised; where one has none, 1 if neither has, else 0."""
    mine, theirs = normalize_answer(prediction).split(), normalize_answer(gold).split()
    if not mine or not theirs:
        return float(mine == theirs)
    common = (Counter(mine) & Counter(theirs)).total()
    return 2 * common / (len(mine) + len(theirs))


def question_f1(prediction: str, golds: Sequence[str]) -> float:
    """F1 of an answer against the gold answer that suits it best; golds without a text are no answer."""
    return max(f1_score(prediction, gold) for gold in _texts(golds))


def _raw(measure: Callable[[str, str], float], spans: Sequence[str], golds: Sequence[Sequence[str]]) -> list[float]:
    return [max(measure(span, gold) for gold in _texts(texts)) for span, texts in zip(spans, golds, strict=True)]


def _texts(golds: Sequence[str]) -> list[str]:
    """Gold answers that are something once normalised; "" alone where none is, which stands for no answer."""
    return [text for text in golds if normalize_answer(text)] or [""]
