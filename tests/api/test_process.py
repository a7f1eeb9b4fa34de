"""Application factory for a process of its own."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from api import process


@pytest.fixture
def _restored() -> Iterator[None]:
    yield
    gc.unfreeze()


@pytest.mark.slow
@pytest.mark.usefixtures("_restored")
def test_the_collector_leaves_the_application_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESPALIER_DATA_DIR", str(tmp_path))
    before = gc.get_freeze_count()
    app = process.create()
    assert app.state.services.settings.data_dir == tmp_path
    assert gc.get_freeze_count() > before
