"""Interface of a pruning method: initial scores, and the masks of each step for a share of weights to keep.

A method is a small object with state of its own only where its reference has some. :mod:`pruning.training` calls it once when a
run begins (``initialize``), once per optimizer step before the forward pass (``select``) and once for the final masks
(``select`` with ``final``). Everything else about a run is common to all methods.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch

from pruning.masking.allocation import Surplus
from pruning.masking.masked_linear import MaskedLinear, keep_top_k_each
from pruning.masking.wrap import Matrices


@dataclass(frozen=True)
class Calibration:
    """A few batches and a way to run them, for methods that read activations."""

    forward: Callable[[dict[str, torch.Tensor]], Any]
    batches: Iterable[dict[str, torch.Tensor]]


@dataclass(frozen=True)
class MassShares:
    """Counts by score mass (SMP paper, eq. 4), for programs that find the masses σ(S/p) where the scores are."""

    temperature: float
    """p."""
    surplus: Surplus


@dataclass(frozen=True)
class Ranking:
    """What a method's ``select`` does, where it keeps the largest scores: enough for fused GPU programs to do the same."""

    scope: Literal["matrix", "model"]
    """One ranking for each matrix, or one over all."""
    counts: Callable[[Matrices, float], list[int]]
    """Scores to keep of each ranking, from the share of all weights to keep."""
    mass_shares: MassShares | None = None
    """Where ``counts`` follow the score masses: how."""


class Method(ABC):
    """A pruning method."""

    penalty_shift: float = 0.0
    """The regulariser is the mean of σ(S - shift)."""

    @property
    def ranking(self) -> Ranking | None:
        """How scores are ranked; None for a method that selects in another way, which no fused program does."""
        return None

    def initialize(self, matrices: Matrices, calibration: Calibration) -> None:  # noqa: B027 - most leave the scores at zero
        """Set initial scores, which are zero; masks are all ones at this point."""

    @abstractmethod
    def select(self, matrices: Matrices, remaining: float, *, final: bool = False) -> list[int]:
        """Mask every matrix for a share ``remaining`` of all weights; returns the ones of each, in order.

        ``final`` asks for the mask that is delivered: nothing random, nothing between 0 and 1.
        """

    def saliency(self, layer: MaskedLinear) -> torch.Tensor:
        """[out, in]: by what the method compares the weights of a matrix with each other."""
        return layer.scores


class LocalTopK(Method):
    """Base class of the methods that keep the largest scores of each matrix; subclasses say how many."""

    @property
    def ranking(self) -> Ranking | None:
        """Ranking by the scores themselves, within each matrix."""
        return Ranking("matrix", self.keep_counts)

    def select(self, matrices: Matrices, remaining: float, *, final: bool = False) -> list[int]:
        """Exactly ``keep_counts`` ones in each matrix, at its largest scores."""
        counts = self.keep_counts(matrices, remaining)
        keep_top_k_each(list(matrices.layers.values()), counts)
        return counts

    @abstractmethod
    def keep_counts(self, matrices: Matrices, remaining: float) -> list[int]:
        """Ones of each matrix."""
