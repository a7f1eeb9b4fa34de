"""What a method decides: how many weights each matrix keeps. All else (scores, masks, updates) is common."""

from typing import Protocol

from pruning.attach import Matrices


class Method(Protocol):
    """Turns scores and a target into counts; called once per optimizer step, before the forward pass."""

    def keep_counts(self, matrices: Matrices, remaining: float) -> list[int]:
        """Ones for each matrix, in the order of ``matrices.layers``, for a share ``remaining`` of all weights."""
        ...
