"""Pattern 2:4: of every four neighbours the two best by the method's own ranking, 3 of 4 on the way."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pruning.errors import PermanentError
from pruning.formats import mask_file
from pruning.masking.methods.registry import create_method
from pruning.spec.methods import METHODS
from tests.pruning.masking.methods import networks, reference
from tests.pruning.runs import finished, make_sources, run_toy

ONE_SHOT = {"wanda": {}, "random": {}, "magnitude": {"one_shot": True}}
WITH_PATTERN = [name for name, info in METHODS.items() if info.two_four]


def best_of_fours(values: Tensor, count: int) -> Tensor:
    """By hand: sort every four neighbours, the earlier of equals first."""
    mask = torch.zeros(values.shape, dtype=torch.bool)
    for i in range(values.shape[0]):
        for j in range(0, values.shape[1], 4):
            four = values[i, j : j + 4].tolist()
            for place in sorted(range(4), key=lambda p: (-four[p], p))[:count]:
                mask[i, j + place] = True
    return mask


@pytest.mark.parametrize(("remaining", "count"), [(1.0, 4), (0.8, 4), (0.75, 3), (0.6, 3), (0.501, 3), (0.5, 2), (0.3, 2)])
@pytest.mark.parametrize("name", ["smp-s", "smp-l", "smp-g", "movement", "magnitude"])
def test_of_every_four_the_best_stay_four_then_three_then_two(name: str, remaining: float, count: int) -> None:
    shapes = ((6, 8), (3, 12))
    weights = [reference.draw(*shape, seed=i).round(decimals=1) for i, shape in enumerate(shapes)]
    scores = [reference.draw(*shape, seed=9 + i).round(decimals=1) for i, shape in enumerate(shapes)]  # with ties
    matrices = networks.matrices_of(*weights)
    method = create_method(networks.spec_of(name, pattern="2:4"))
    method.initialize(matrices, networks.no_rows())
    networks.set_scores(matrices, scores)
    counts = method.select(matrices, remaining)
    ranking = [weight.abs() for weight in weights] if name == "magnitude" else scores
    for mask, values, kept in zip(matrices.masks.values(), ranking, counts, strict=True):
        assert torch.equal(mask, best_of_fours(values, count))
        assert kept == int(mask.sum()) == values.numel() // 4 * count


def test_rows_that_fours_do_not_fill_are_refused_by_name() -> None:
    matrices = networks.matrices_of(torch.ones(4, 8), torch.ones(4, 6))
    with pytest.raises(PermanentError, match=r"1 .*\b6\b") as caught:
        create_method(networks.spec_of("smp-s", pattern="2:4")).initialize(matrices, networks.no_rows())
    assert (caught.value.code, caught.value.param) == ("pattern_unfit", "pattern")


@pytest.mark.parametrize("name", WITH_PATTERN)
def test_a_run_of_every_method_ends_with_exactly_two_of_four(tmp_path: Path, name: str) -> None:
    sources = make_sources(tmp_path / "toys")
    fields: dict[str, Any] = {
        "sparsity": 0.5,
        **({"max_steps": None} if name in ONE_SHOT else {"max_steps": 6}),
        **ONE_SHOT.get(name, {}),
    }
    events = run_toy(sources, tmp_path / "work", method=name, pattern="2:4", **fields)
    masks, _ = mask_file.read(tmp_path / "work" / "artifacts" / "mask.safetensors")
    for mask in masks.values():
        assert np.array_equal(mask.reshape(-1, 4).sum(axis=1), np.full(mask.size // 4, 2))
    assert finished(events)["remaining"] == 0.5
