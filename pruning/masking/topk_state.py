"""Threshold memory of one ranking that is selected from again and again: the last threshold, and where the next one is expected.

Owned by :mod:`pruning.masking.topk`; the CPU kernels (:mod:`pruning.masking.kernels.cpu`) take and update it, too. It only
saves time: masks depend on the scores and k alone.
"""

from dataclasses import dataclass


@dataclass
class ThresholdState:
    """Known thresholds of one ranking. Scores move little between two steps, so the next one is near."""

    threshold: float | None = None
    """The k-th largest score of the last selection; None before the first."""
    drift: float = 0.0
    """How far it had moved since the one before: sparsity grows and scores fall steadily, so the next is likely as far."""
    width: float = 0.0
    """How far from the expected threshold the bracket reaches that is counted first."""
    cold_selections: int = 0
    """Number of selections that the memory did not speed up."""

    @property
    def expected(self) -> float:
        """Where the next threshold is expected."""
        return 0.0 if self.threshold is None else self.threshold + self.drift

    def update(self, threshold: float, *, warm: bool) -> None:
        """Record the threshold of a selection; ``warm``: found in a bracket around the expected one."""
        self.drift = threshold - self.threshold if warm and self.threshold is not None else 0.0
        self.threshold = threshold
