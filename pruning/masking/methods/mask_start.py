"""Mask as a start: scores of a run rebuilt from a mask that an earlier run has made, and from saliencies.

Made by :func:`pruning.masking.methods.registry.create_method` for a spec with ``init_from``. A mask says on which side of the
threshold a score ended and not where, so the scores take the distribution of the Wanda prior: sorted by saliency, the kept weights
of a matrix get its highest values and the removed ones the rest, with an offset between the two.
"""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import torch

from pruning.masking.masked_linear import MaskedLinear
from pruning.masking.methods.base import Calibration, Method, Ranking
from pruning.masking.methods.wanda import saliencies
from pruning.masking.wrap import Matrices

OFFSET = 4.0
"""Offset of the scores of kept weights, in units of the spread that noise gives scores in a run. Measured on the model that ships
with the demo, from a mask of 90 % sparsity and accuracy 0.819: after 40 more steps at 90 % it is 0.748 with an offset of 1 and
0.803 with 4; after 200 steps to 97 % it is 0.744 with 4, and 0.667 without a mask to start from (one seed)."""
_HIGHEST_MASS = 0.95
_ROUNDS = 30


class MaskStart(Method):
    """Another method, begun with scores whose ranking gives the masks of an earlier run.

    ``strength`` is that of the prior, ``noise`` :attr:`pruning.masking.schedule.Schedule.score_noise`, both in units of scores;
    ``masks`` (bool [out, in], by module path) have the shapes of the matrices.
    """

    def __init__(self, method: Method, strength: float, noise: float, masks: Mapping[str, npt.NDArray[np.bool_]]) -> None:
        self.method, self.strength, self.offset = method, strength, OFFSET * noise
        self._masks = masks
        self.penalty_shift = method.penalty_shift

    @property
    def ranking(self) -> Ranking | None:
        """Ranking of the wrapped method."""
        return self.method.ranking

    def initialize(self, matrices: Matrices, calibration: Calibration) -> None:
        """Set the scores."""
        self.method.initialize(matrices, calibration)
        for path, saliency in saliencies(matrices, calibration).items():
            layer = matrices.layers[path]
            kept = torch.from_numpy(self._masks[path]).to(saliency.device)
            layer.scores.copy_(start_scores(saliency, kept, self.strength, self.offset))
        ranking = self.method.ranking
        if ranking is not None and ranking.scope == "model":
            self._align_thresholds(matrices)
        elif ranking is not None and ranking.mass_shares is not None:
            for paths in matrices.groups.values():
                self._calibrate_masses([matrices.layers[path] for path in paths], paths, ranking.mass_shares.temperature)

    def select(self, matrices: Matrices, remaining: float, *, final: bool = False) -> list[int]:
        """Masks by the wrapped method."""
        return self.method.select(matrices, remaining, final=final)

    def first_share(self, matrices: Matrices) -> float:
        """Share v_0 of all weights at which the method keeps as many as the masks: by floor(v n) in each of its rankings' budgets
        where one share gives them all, else the masks' share."""
        ones = {path: int(np.count_nonzero(mask)) for path, mask in self._masks.items()}
        sizes = dict(zip(matrices.layers, matrices.sizes, strict=True))
        budgets = [(sum(ones[path] for path in unit), sum(sizes[path] for path in unit)) for unit in self._units(matrices)]
        share = max(_share_of(kept, size) for kept, size in budgets)
        if all(math.floor(share * size) == kept for kept, size in budgets):
            return share
        return _share_of(sum(ones.values()), matrices.total)

    def _units(self, matrices: Matrices) -> Iterator[list[str]]:
        """Module paths of the matrices that share a budget."""
        ranking = self.method.ranking
        if ranking is not None and ranking.scope == "model":
            yield list(matrices.layers)
        elif ranking is not None and ranking.mass_shares is not None:
            yield from matrices.groups.values()
        else:
            yield from ([path] for path in matrices.layers)

    def _align_thresholds(self, matrices: Matrices) -> None:
        """Move the scores of every matrix so that all kept ones are above 0 and all removed ones below."""
        for path, layer in matrices.layers.items():
            kept = torch.from_numpy(self._masks[path]).to(layer.scores.device)
            above, below = layer.scores[kept], layer.scores[~kept]
            low = float(above.min()) if above.numel() else float(below.max()) + self.offset
            high = float(below.max()) if below.numel() else low - self.offset
            layer.scores.sub_((low + high) / 2)

    def _calibrate_masses(self, layers: list[MaskedLinear], paths: list[str], temperature: float) -> None:
        """Move the scores of every matrix of a group so that their masses are as their shares of kept weights, which the
        allocation by mass then gives them; the mean mass of the group stays, unless a matrix would come near 1."""
        sizes = [layer.base.numel() for layer in layers]
        shares = [np.count_nonzero(self._masks[path]) / size for path, size in zip(paths, sizes, strict=True)]
        if not any(shares):
            return
        mean = sum(size * layer.mass(temperature) for size, layer in zip(sizes, layers, strict=True)) / sum(sizes)
        overall = sum(size * share for size, share in zip(sizes, shares, strict=True)) / sum(sizes)
        level = min(mean / overall, _HIGHEST_MASS / max(shares))
        for layer, share, size in zip(layers, shares, sizes, strict=True):
            _move_to_mass(layer, level * max(share, 0.1 / size), temperature)


def start_scores(saliency: torch.Tensor, kept: torch.Tensor, strength: float, offset: float) -> torch.Tensor:
    """Scores [out, in] of one matrix: strength · z(saliency) with its values reassigned, the highest to the kept weights, in
    both parts in the order of saliency; ``offset`` is added to those of the kept ones."""
    flat, mask = saliency.reshape(-1), kept.reshape(-1)
    descending, order = torch.sort(flat, descending=True, stable=True)
    spread = saliency.std().clamp_min(1e-30)
    of_kept = mask[order]
    scores = torch.empty_like(flat)
    scores[torch.cat([order[of_kept], order[~of_kept]])] = strength * (descending - saliency.mean()) / spread
    return (scores + offset * mask).view_as(saliency)


def _share_of(kept: int, size: int) -> float:
    """The smallest v at which floor(v n) is ``kept`` of n = ``size``, in floating point."""
    share = kept / size
    return share if math.floor(share * size) == kept else math.nextafter(share, 2.0)


def _move_to_mass(layer: MaskedLinear, target: float, temperature: float) -> None:
    """Add one number to all scores of a matrix so that their mean σ(S/p) is ``target``: secant steps on the scale of logits."""
    start, wanted = layer.scores.clone(), _logit(target)
    moved, slope = 0.0, 1.0
    last: tuple[float, float] | None = None
    for _ in range(_ROUNDS):
        found = _logit(layer.mass(temperature))
        if abs(found - wanted) < 1e-9:
            return
        if last is not None and moved != last[0]:
            slope = min(max((found - last[1]) * temperature / (moved - last[0]), 0.1), 1.5)
        last = (moved, found)
        moved += (wanted - found) * temperature / slope
        torch.add(start, moved, out=layer.scores)


def _logit(share: float) -> float:
    share = min(max(share, 1e-12), 1 - 1e-12)
    return math.log(share / (1 - share))
