"""The models, tasks and methods that a service knows."""

import json

from tests.espalier.cli.conftest import Run


def test_tasks_and_methods(espalier: Run) -> None:
    assert "sst2" in espalier("tasks")
    assert "smp-s (default)" in espalier("methods")


def test_models(espalier: Run) -> None:
    assert json.loads(espalier("models", "--json"))["data"] == []
    assert espalier("models") == ""
