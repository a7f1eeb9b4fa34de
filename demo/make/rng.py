"""Seeded random number generator whose sequence does not depend on the Python version.

The shipped data set must be rebuildable years later.  Of the ``random`` module only ``random()`` itself
promises the same numbers for the same seed across versions, so every choice here is made from that one call.
"""

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Rng:
    """A seeded source of choices."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def below(self, limit: int) -> int:
        """A whole number from 0 up to, but not including, ``limit``."""
        return int(self._random() * limit)

    def choice(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def chance(self, probability: float) -> bool:
        return self._random() < probability

    def shuffle(self, items: list[T]) -> None:
        for last in range(len(items) - 1, 0, -1):
            other = self.below(last + 1)
            items[last], items[other] = items[other], items[last]
