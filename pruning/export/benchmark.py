"""Latency of an export against the dense model, measured so that noise hits both alike: calls in turn, medians of their times.

Called by :mod:`pruning.export.run`.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from pruning.events import EventSink, PhaseEvent
from pruning.export.results import Latency
from pruning.export.verify import random_rows
from pruning.inference.pruned_model import PrunedModel

SIZES = ((1, 32), (1, 128), (8, 32), (8, 128))
"""Rows and tokens of a batch."""
GAIN = 1.05
"""A factor below this counts as no gain."""
_FEWEST, _MOST = 5, 200
SECONDS = 3.0
"""Seconds of rounds at each size; slow rounds take longer."""


@dataclass(frozen=True)
class PairTiming:
    """Median milliseconds of two calls, and the median of the rounds' ratios, which is least affected by noise."""

    before_ms: float
    after_ms: float
    factor: float


def time_pair(before: Callable[[], object], after: Callable[[], object], seconds: float = SECONDS) -> PairTiming:
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
    return PairTiming(statistics.median(times[0]), statistics.median(times[1]), statistics.median(ratios))


@torch.no_grad()
def measure_latency(before: PrunedModel, after: PrunedModel, longest: int, emit: EventSink) -> list[Latency]:
    """Latency of both models at each size that the model can read; ``longest`` is its number of positions."""
    found = []
    for batch, tokens in SIZES:
        if tokens > longest:
            continue
        emit(PhaseEvent(phase="exporting", message=f"measuring {batch} x {tokens} tokens"))
        rows = random_rows(before, [tokens] * batch)
        inputs = rows.batch(range(batch), after.device)
        del inputs["labels"]
        pair = time_pair(_timed_call(before.head, inputs), _timed_call(after.head, inputs))
        found.append(
            Latency(
                batch=batch,
                tokens=tokens,
                before_ms=round(pair.before_ms, 3),
                after_ms=round(pair.after_ms, 3),
                factor=round(pair.factor, 3),
            )
        )
    return found


def speed_verdict(latency: list[Latency]) -> str:
    """Sentence on the measured speed; states plainly where there is no gain."""
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


def _timed_call(head: nn.Module, inputs: dict[str, torch.Tensor]) -> Callable[[], object]:
    def call() -> None:
        head(**inputs)
        if next(iter(inputs.values())).is_cuda:
            torch.cuda.synchronize()

    return call
