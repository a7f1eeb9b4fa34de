"""A random mask depends on the seed alone, has the count asked for in every matrix, and shrinks into itself."""

from pathlib import Path

import numpy as np
import torch

from pruning.formats import mask_file
from pruning.masking.methods.random import RandomMask
from tests.pruning.masking.methods import networks
from tests.pruning.runs import make_sources, run_toy

SHAPES = ((40, 30), (20, 70))


def masks_of(seed: int, *shares: float) -> list[list[torch.Tensor]]:
    matrices = networks.matrices_of(*(torch.ones(shape) for shape in SHAPES))
    method = RandomMask(seed)
    method.begin(matrices, networks.no_rows())
    found = []
    for share in shares:
        assert method.select(matrices, share) == [int(share * rows * columns) for rows, columns in SHAPES]
        found.append([mask.clone() for mask in matrices.masks.values()])
    return found


def test_the_seed_decides_whatever_was_drawn_before() -> None:
    torch.manual_seed(1)
    first = masks_of(5, 0.3)[0]
    torch.rand(17)
    assert all(torch.equal(a, b) for a, b in zip(first, masks_of(5, 0.3)[0], strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, masks_of(6, 0.3)[0], strict=True))


def test_a_smaller_share_is_part_of_a_larger_one() -> None:
    small, middle, large = masks_of(0, 0.1, 0.5, 0.9)
    for a, b, c in zip(small, middle, large, strict=True):
        assert not (a & ~b).any()
        assert not (b & ~c).any()


def test_every_place_is_as_likely_as_any_other() -> None:
    hits = torch.stack([masks_of(seed, 0.5)[0][0] for seed in range(200)]).double().mean(0)
    assert abs(float(hits.mean()) - 0.5) < 1e-9
    assert float(hits.std()) < 0.05  # 0.035 is chance
    assert float(hits.mean(0).std()) < 0.02
    assert float(hits.mean(1).std()) < 0.02


def test_a_run_needs_no_step_and_is_the_same_again(tmp_path: Path) -> None:
    sources = make_sources(tmp_path / "toys")
    masks = []
    for name, seed in (("one", 1), ("again", 1), ("two", 2)):
        events = run_toy(sources, tmp_path / name, method="random", max_steps=None, sparsity=0.7, seed=seed)
        assert events[-1].metrics["steps"] == 0  # type: ignore[union-attr]
        masks.append(mask_file.read(tmp_path / name / "artifacts" / "mask.safetensors")[0])
    one, again, two = masks
    assert all(np.array_equal(one[path], again[path]) for path in one)
    assert not any(np.array_equal(one[path], two[path]) for path in one)
