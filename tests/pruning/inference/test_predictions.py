"""Classes by name, with the softmax of their logits."""

import numpy as np
import pytest
import torch

from pruning.inference.predictions import classified


def test_classes_by_name_with_their_probabilities() -> None:
    logits = np.array([[2.0, -1.0, 0.5], [-3.0, 88.0, 87.0]], dtype=np.float32)
    first, second = classified(logits, ("a", "b", "c"))
    assert (first.value, first.label, second.value, second.label) == (0, "a", 1, "b")
    expected = torch.softmax(torch.from_numpy(logits).double(), dim=1).tolist()
    for prediction, shares in zip((first, second), expected, strict=True):
        assert prediction.probabilities is not None
        assert list(prediction.probabilities) == ["a", "b", "c"]
        assert list(prediction.probabilities.values()) == pytest.approx(shares, abs=1e-12)
