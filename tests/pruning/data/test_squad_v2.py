"""SQuAD v2: official metrics and thresholds against a transcription of the script, and answers or none from logits."""

import random

import numpy as np
import pytest

from pruning.data.answers import fits_context, is_answers
from pruning.data.squad import Windows
from pruning.data.squad_v2 import answers_at, best_threshold, compute_metrics, f1_score, question_f1, spans_and_differences

SPANS = ["Paris", "the cat sat", "42", "a dog", "nothing"]
DIFFERENCES = [-3.0, -1.0, 0.5, -0.5, 2.0]
GOLDS: list[list[str]] = [["Paris", "in Paris"], ["cat"], ["42"], [], []]


def test_known_values() -> None:
    found = compute_metrics(SPANS, DIFFERENCES, GOLDS)
    # at 0: Paris right, "the cat sat" F1 2/3, 42 not answered, "a dog" wrong, nothing right
    assert {name: round(value, 6) for name, value in found.items()} == {
        "exact": 0.4,
        "f1": round((1 + 2 / 3 + 0 + 0 + 1) / 5, 6),
        "HasAns_exact": round(1 / 3, 6),
        "HasAns_f1": round((1 + 2 / 3) / 3, 6),
        "NoAns_exact": 0.5,
        "NoAns_f1": 0.5,
        # by falling score: 2 none right; Paris 3; cat 3 (exact) or 3.67 (f1); dog 2 or 2.67; 42 3 or 3.67; nothing 2 or 2.67
        "best_exact": 0.6,
        "best_exact_thresh": -3.0,
        "best_f1": round((2 + 1 + 2 / 3) / 5, 6),
        "best_f1_thresh": -1.0,
    }
    assert answers_at(SPANS, DIFFERENCES, -1.0) == ["Paris", "the cat sat", "", "", ""]


def official_best_thresh(
    preds: dict[str, str], scores: dict[str, float], na_probs: dict[str, float], has: dict[str, bool]
) -> tuple[float, float]:
    """``find_best_thresh`` of evaluate-v2.0.py, as it stands there."""
    cur_score = best_score = float(sum(1 for k in has if not has[k]))
    best_thresh = 0.0
    for qid in sorted(na_probs, key=lambda k: na_probs[k]):
        diff = scores[qid] if has[qid] else (-1 if preds[qid] else 0)
        cur_score += diff
        if cur_score > best_score:
            best_score = cur_score
            best_thresh = na_probs[qid]
    return 100.0 * best_score / len(scores), best_thresh


@pytest.mark.parametrize("seed", range(20))
def test_the_threshold_is_that_of_the_official_script(seed: int) -> None:
    source = random.Random(seed)
    ids = [str(number) for number in range(30)]
    preds = {key: source.choice(["x", "y", ""]) for key in ids}
    has = {key: source.random() < 0.6 for key in ids}
    scores = {key: source.choice([0.0, 0.5, 1.0]) for key in ids}
    probabilities = {key: source.random() for key in ids}
    found = best_threshold([*preds.values()], [*scores.values()], [*probabilities.values()], [*has.values()])
    score, threshold = official_best_thresh(preds, scores, probabilities, has)
    assert found[0] == pytest.approx(score / 100, abs=1e-12)
    assert found[1] == threshold or score / 100 == pytest.approx(sum(not one for one in has.values()) / 30)


def test_the_best_threshold_gives_the_best_score() -> None:
    found = compute_metrics(SPANS, DIFFERENCES, GOLDS)
    for name in ("exact", "f1"):
        again = compute_metrics(SPANS, DIFFERENCES, GOLDS, found[f"best_{name}_thresh"])
        assert again[name] == pytest.approx(found[f"best_{name}"])
    nothing = compute_metrics(["x", "y"], [-5.0, -7.0], [[], []])
    assert (nothing["best_f1"], nothing["best_f1_thresh"]) == (1.0, -8.0)
    assert compute_metrics(["x", "y"], [-5.0, -7.0], [[], []], -8.0)["f1"] == 1.0
    assert "HasAns_f1" not in nothing
    assert "NoAns_f1" not in compute_metrics(["x"], [0.0], [["x"]])


def test_f1_without_words() -> None:
    assert (f1_score("", ""), f1_score("the", ""), f1_score("cat", ""), f1_score("", "cat")) == (1.0, 1.0, 0.0, 0.0)
    assert question_f1("", []) == 1.0
    assert question_f1("cat", ["the", "cat"]) == 1.0
    assert question_f1("cat", ["the"]) == 0.0  # a gold answer that is nothing once normalised is no answer


def test_the_smallest_score_of_the_first_position_counts() -> None:
    windows = Windows([0, 0, 1], [[None, (0, 3), (4, 7)], [None, (4, 7), None], [None, None, None]])
    logits = [
        np.array([[3, 1], [5, 0], [0, 1]], dtype=np.float32),  # none 4; "one two" 6
        np.array([[1, 2], [2, 2], [0, 0]], dtype=np.float32),  # none 3; "two" 4
        np.zeros((3, 2), dtype=np.float32),
    ]
    spans, differences = spans_and_differences(logits, windows, ["one two", "x"])
    assert spans == ["one two", ""]
    assert differences == [3 - 6, 1e6]


@pytest.mark.parametrize(
    ("value", "form", "fits"),
    [
        ({"text": [], "answer_start": []}, True, True),
        ({"text": ["b"], "answer_start": [2]}, True, True),
        ({"text": ["b", "c"], "answer_start": [2, 0]}, True, False),
        ({"text": ["b"], "answer_start": []}, False, False),
        ({"text": [""], "answer_start": [0]}, False, False),
        ({"text": ["b"], "answer_start": [True]}, False, False),
        ({"text": "b", "answer_start": 2}, False, False),
        (["b"], False, False),
        (None, False, False),
        ({"text": ["b"], "answer_start": [-1]}, False, False),
    ],
)
def test_what_answers_are(value: object, form: bool, fits: bool) -> None:
    assert (is_answers(value), fits_context(value, "a b")) == (form, fits)
