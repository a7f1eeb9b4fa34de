"""The synchronous client is what is made from the asynchronous one, and nothing asynchronous is left in it."""

import inspect
from pathlib import Path

import pytest

from espalier import AsyncClient, Client
from scripts.unasync import CLIENT, GENERATED, SOURCES, unasync


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_files_are_those_that_are_made(source: Path) -> None:
    generated = unasync(source.read_text(encoding="utf-8"), source.name)
    assert (GENERATED / source.name).read_text(encoding="utf-8") == generated, "run: python -m scripts.unasync"
    assert not any(word in generated for word in ("async ", "await ", "Async", "from espalier.client._async"))


def test_only_the_waiting_differs() -> None:
    written = {file.name for file in (CLIENT / "_async").glob("*.py")} - {file.name for file in SOURCES}
    assert written == {"__init__.py", "waiting.py"}


def test_both_can_do_the_same() -> None:
    def calls(kind: type) -> dict[str, list[str]]:
        found = inspect.getmembers(kind, inspect.isfunction)
        return {name: [*inspect.signature(call).parameters] for name, call in found if not name.startswith("_")}

    assert calls(AsyncClient) == calls(Client)
    for name in calls(Client):
        call = getattr(AsyncClient, name)
        assert inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call), name
