"""Latency before and after, measured so that noise hits both alike: one call of each in turn, medians of their times."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from pruning.export.results import Latency

SIZES = ((1, 32), (1, 128), (8, 32), (8, 128))
"""Rows and tokens of a batch."""
GAIN = 1.05
"""A factor below this is none."""
_FEWEST, _MOST = 5, 200
SECONDS = 3.0
"""Of rounds at each size, unless they are slow."""


@dataclass(frozen=True)
class Pair:
    """Median milliseconds of two calls, and the median of the rounds' ratios, on which noise has least hold."""

    before_ms: float
    after_ms: float
    factor: float


def paired(before: Callable[[], object], after: Callable[[], object], seconds: float = SECONDS) -> Pair:
    """Rounds of one call each, in changing order, until there are enough of them or ``seconds`` have passed."""
    calls = (before, after)
    for call in (*calls, *calls):  # warm-up: the first calls allocate
        call()
    times: tuple[list[float], list[float]] = ([], [])
    began = time.perf_counter()
    while len(times[0]) < _FEWEST or (len(times[0]) < _MOST and time.perf_counter() - began < seconds):
        for which in (0, 1) if len(times[0]) % 2 else (1, 0):
            start = time.perf_counter()
            calls[which]()
            times[which].append((time.perf_counter() - start) * 1000)
    ratios = [first / second for first, second in zip(*times, strict=True)]
    return Pair(statistics.median(times[0]), statistics.median(times[1]), statistics.median(ratios))


def verdict(latency: list[Latency]) -> str:
    """What the figures mean, in a sentence that starts with the bad news where there is nothing else."""
    if not latency:
        return "not measured: the model reads fewer tokens than the shortest size"
    gains = [one for one in latency if one.factor >= GAIN]
    factors = [one.factor for one in latency]
    if not gains:
        return f"no gain: {min(factors):.2f} to {max(factors):.2f} times the speed of the dense model at every size measured"
    if len(gains) == len(latency):
        return f"faster at every size measured: {min(factors):.2f} to {max(factors):.2f} times the speed of the dense model"
    rest = [one for one in latency if one not in gains]
    return f"faster at {_listed(gains)}; no gain at {_listed(rest)}"


def _listed(latency: list[Latency]) -> str:
    return ", ".join(f"{one.batch} x {one.tokens} tokens ({one.factor:.2f} times)" for one in latency)
