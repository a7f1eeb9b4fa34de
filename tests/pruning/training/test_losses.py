"""Losses against their formulas, written out."""

import math

import pytest
import torch

from pruning.data.tagged_words import IGNORED
from pruning.training import losses


def test_classification_is_the_mean_negative_log_probability() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.5]])
    expected = (-math.log(math.exp(2) / (math.exp(2) + 1 + math.exp(-1))) + math.log(3)) / 2
    assert float(losses.classification(logits, torch.tensor([0, 2]))) == pytest.approx(expected, rel=1e-6)


def test_one_logit_is_a_regression_by_squared_error() -> None:
    logits = torch.tensor([[1.0], [4.0]])
    assert float(losses.classification(logits, torch.tensor([3.0, 4.5]))) == pytest.approx((4 + 0.25) / 2)


def test_a_span_is_scored_by_start_and_end_over_every_position() -> None:
    torch.manual_seed(0)
    logits = torch.randn(3, 7, 2, dtype=torch.float64)
    starts, ends = torch.tensor([0, 3, 6]), torch.tensor([2, 3, 6])
    log_p = torch.log(torch.exp(logits) / torch.exp(logits).sum(1, keepdim=True))
    expected = -(log_p[range(3), starts, 0].mean() + log_p[range(3), ends, 1].mean()) / 2
    assert float(losses.span(logits, starts, ends)) == pytest.approx(float(expected), rel=1e-12)


def test_a_span_outside_the_window_is_ignored() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 7, 2, dtype=torch.float64)
    inside = losses.span(logits[:1], torch.tensor([1]), torch.tensor([2]))
    for outside in (7, 100):
        got = losses.span(logits, torch.tensor([1, outside]), torch.tensor([2, outside]))
        assert float(got) == pytest.approx(float(inside), rel=1e-12)


def test_a_negative_position_counts_as_the_first() -> None:
    logits = torch.randn(1, 5, 2, generator=torch.Generator().manual_seed(0))
    below, first = (losses.span(logits, torch.tensor([p]), torch.tensor([p])) for p in (-3, 0))
    assert torch.equal(below, first)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_distillation_is_the_divergence_of_softened_probabilities(temperature: float) -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(4, 3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    p, q = (torch.softmax(x / temperature, -1) for x in (teacher, student))
    expected = temperature**2 * (p * torch.log(p / q)).sum(-1).mean()
    assert float(losses.distillation(student, teacher, temperature)) == pytest.approx(float(expected), rel=1e-10)


def test_a_student_that_agrees_has_nothing_to_learn() -> None:
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    assert float(losses.distillation(logits, logits + 7.0)) == pytest.approx(0, abs=1e-6)


def test_labels_are_scored_each_by_itself() -> None:
    logits, labels = torch.tensor([[2.0, -1.0], [0.0, 3.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    expected = sum(math.log1p(math.exp(-value)) for value in (2.0, 1.0, 0.0, 3.0)) / 4
    assert float(losses.multilabel(logits, labels)) == pytest.approx(expected, rel=1e-6)


def test_words_are_scored_at_their_first_tokens() -> None:
    torch.manual_seed(0)
    logits = torch.randn(3, 4, 5, dtype=torch.float64)
    tags = torch.full((3, 4), IGNORED)
    tags[0, 1], tags[0, 2], tags[2, 3] = 4, 0, 2
    log_p = torch.log_softmax(logits, dim=-1)
    expected = -(log_p[0, 1, 4] + log_p[0, 2, 0] + log_p[2, 3, 2]) / 3
    assert float(losses.token_classification(logits, tags)) == pytest.approx(float(expected), rel=1e-12)
    shares = [float(losses.token_classification(logits[i::2], tags[i::2])) for i in range(2)]
    weights = [3 / 3, 0 / 3]  # of rows 0 and 2, and of row 1 without a word
    assert sum(a * b for a, b in zip(shares, weights, strict=True)) == pytest.approx(float(expected), rel=1e-12)
    assert shares[1] == 0
