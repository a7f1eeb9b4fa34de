"""Latencies and the sentences about them. No test here depends on how fast anything is."""

import pytest

from pruning.export.benchmark import speed_verdict, time_pair
from pruning.export.results import Latency


def measured(**factors: float) -> list[Latency]:
    """``b1t32=1.2`` …"""
    found = []
    for name, factor in factors.items():
        batch, _, tokens = name.removeprefix("b").partition("t")
        found.append(Latency(batch=int(batch), tokens=int(tokens), before_ms=factor, after_ms=1.0, factor=factor))
    return found


def test_both_are_called_in_turn_and_equally_often() -> None:
    calls: list[str] = []
    pair = time_pair(lambda: calls.append("before"), lambda: calls.append("after"), seconds=0)
    assert calls.count("before") == calls.count("after") == 7  # two to warm up, five that count
    rounds = [tuple(calls[i : i + 2]) for i in range(4, len(calls), 2)]
    assert set(rounds) == {("before", "after"), ("after", "before")}
    assert pair.before_ms > 0
    assert pair.after_ms > 0
    assert pair.factor > 0


@pytest.mark.parametrize(
    ("latency", "said"),
    [
        (measured(b1t32=1.04, b8t128=0.9), "no gain: 0.90 to 1.04 times the speed of the dense model at every size measured"),
        (measured(b1t32=2.0, b8t128=1.05), "faster at every size measured: 1.05 to 2.00 times the speed of the dense model"),
        (measured(b1t32=1.5, b8t128=0.7), "faster at 1 x 32 tokens (1.50 times); no gain at 8 x 128 tokens (0.70 times)"),
        ([], "not measured: the model reads fewer tokens than the shortest size"),
    ],
    ids=["none", "all", "some", "nothing"],
)
def test_the_verdict_names_no_gain(latency: list[Latency], said: str) -> None:
    assert speed_verdict(latency) == said
