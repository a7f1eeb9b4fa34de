"""One thread for torch: toys gain nothing from more, and bits then do not depend on the machine."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every run that is prepared, to be checked once it has ended."""
    from pruning.training import setup
    from pruning.training import train as module

    runs: list[Any] = []
    real = setup.set_up

    def noting(*given: Any) -> Any:
        runs.append(real(*given))
        return runs[-1]

    monkeypatch.setattr(module, "set_up", noting)
    return runs


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure no longer than it takes to have a number."""
    from pruning.export import benchmark

    monkeypatch.setattr(benchmark, "SECONDS", 0.0)
    monkeypatch.setattr(benchmark, "SIZES", ((1, 32), (2, 64)))
