"""Schedules of sparsity, regularisation and learning rate over a run, as pure functions of the step number.

A step number ``t`` counts optimizer steps from 0 and means "in the forward pass of step t, before its update". Equation numbers
are those of the SMP paper (arXiv 2210.06210v2). Called by :mod:`pruning.training`.
"""

import math
from dataclasses import dataclass
from typing import Literal, Self

from pruning.spec.schema import PruningSpec


@dataclass(frozen=True)
class Ramp:
    """A rise from 0 to 1 over ``length`` steps from ``begin``; flat before and after."""

    begin: float
    length: float
    shape: Literal["cubic", "linear"] = "cubic"
    every: int = 1
    """The ramp moves only at multiples of this many steps."""

    def decay(self, step: int) -> float:
        """1 minus the rise: (1 - x)^3 or 1 - x, with x the part of the ramp that is over (eq. 5)."""
        x = min(max((step // self.every - self.begin) / self.length, 0.0), 1.0) if self.length > 0 else 1.0
        return float((1.0 - x) ** (3 if self.shape == "cubic" else 1))


@dataclass(frozen=True)
class Schedule:
    """Everything that depends on the step number alone."""

    total_steps: int
    remaining_final: float
    """v_F, share of masked weights kept at the end."""
    sparsity_ramp: Ramp
    regularization_final: float
    """λ_F."""
    regularization_ramp: Ramp
    learning_rate_initial: float
    remaining_initial: float = 1.0
    """v_0; of a run that starts from a mask, the share that the mask keeps."""

    @classmethod
    def from_spec(cls, spec: PruningSpec, total_steps: int) -> Self:
        """The schedule of a spec over ``total_steps`` optimizer steps: fractions become steps here."""
        begin = max(0.0, round(1.0 - spec.ramp - spec.hold, 9)) * total_steps
        sparsity = Ramp(begin, spec.ramp * total_steps, spec.ramp_shape)
        own = Ramp(0, total_steps, "cubic")
        emerges = spec.method == "soft-movement"  # its ramp moves the threshold τ, from 0, in place of v
        return cls(
            total_steps=total_steps,
            remaining_final=spec.threshold if emerges else spec.remaining,
            remaining_initial=0.0 if emerges else 1.0,
            sparsity_ramp=sparsity,
            regularization_final=spec.regularization,
            regularization_ramp=own if spec.regularization_ramp == "run" else sparsity,
            learning_rate_initial=spec.learning_rate,
        )

    def remaining(self, step: int) -> float:
        """v_t = v_F + (v_0 - v_F)(1 - x)^3: the ramp of Zhu & Gupta (arXiv 1710.01878, eq. 1), s_f + (s_i - s_f)(1 - x)^3, whose
        initial sparsity s_i is 0 here except for a run that starts from a mask."""
        decay = self.sparsity_ramp.decay(step)
        if decay == 1.0:  # v_F + (v_0 - v_F) may round to another number, and its counts then to a weight less
            return self.remaining_initial
        return self.remaining_final + (self.remaining_initial - self.remaining_final) * decay

    def regularization(self, step: int) -> float:
        """λ_t = λ_F (1 - (1 - x)^3)."""
        return self.regularization_final * (1.0 - self.regularization_ramp.decay(step))

    def learning_rate(self, step: int) -> float:
        """Linear from its initial value at step 0 to 0 at ``total_steps``."""
        return self.learning_rate_initial * (self.total_steps - step) / self.total_steps

    @property
    def score_noise(self) -> float:
        """Spread that a run gives scores whose gradients are noise alone: lr · sqrt(T / 3).

        Adam moves such a score by about lr_t in a random direction each step, so the variances lr_t² of a linear fall add up.
        """
        return self.learning_rate_initial * math.sqrt(self.total_steps / 3)

    def learning_rate_share(self, step: int) -> float:
        """The linear decay of the learning rate, from 1 to 0, for what is trained in addition to scores."""
        return (self.total_steps - step) / self.total_steps
