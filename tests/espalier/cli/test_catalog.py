"""The tasks and methods that a service knows."""

from tests.espalier.cli.conftest import Run


def test_tasks_and_methods(espalier: Run) -> None:
    assert "sst2" in espalier("tasks")
    assert "smp-s (default)" in espalier("methods")
