"""What a method decides: which weights are kept in a step, and how scores are pulled; all else is common.

A method is a small object with state of its own only where its reference has some. It is called once when a run begins
(``begin``), once per optimizer step before the forward pass (``select``) and once for the final masks (``select`` with
``final``).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from pruning.masking.masked_linear import keep_top_k_each
from pruning.masking.wrap import Matrices


@dataclass(frozen=True)
class Calibration:
    """A few batches and a way to run them, for methods that look at activations."""

    forward: Callable[[dict[str, torch.Tensor]], Any]
    batches: Iterable[dict[str, torch.Tensor]]


class Method(Protocol):
    """The interface of a pruning method."""

    penalty_shift: float
    """The regulariser is the mean of σ(S - shift)."""

    def begin(self, matrices: Matrices, calibration: Calibration) -> None:
        """Set initial scores; masks are all ones at this point."""
        ...

    def select(self, matrices: Matrices, remaining: float, *, final: bool = False) -> list[int]:
        """Mask every matrix for a share ``remaining`` of all weights; returns the ones of each, in order.

        ``final`` asks for the mask that is delivered: nothing random, nothing between 0 and 1.
        """
        ...


class ScoreMethod(ABC):
    """Common ground of the methods that keep the largest scores: subclasses say how many of each matrix."""

    penalty_shift = 0.0

    def begin(self, matrices: Matrices, calibration: Calibration) -> None:  # noqa: B027 - most have nothing to do
        """Scores start at zero, as they are."""

    def select(self, matrices: Matrices, remaining: float, *, final: bool = False) -> list[int]:
        """Exactly ``keep_counts`` ones in each matrix, at its largest scores."""
        counts = self.keep_counts(matrices, remaining)
        keep_top_k_each(list(matrices.layers.values()), counts)
        return counts

    @abstractmethod
    def keep_counts(self, matrices: Matrices, remaining: float) -> list[int]:
        """Ones for each matrix."""
