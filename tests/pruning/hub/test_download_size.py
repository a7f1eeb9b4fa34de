"""The size of a model on the hub is looked up before anything of it is downloaded."""

import shutil
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import pytest

from pruning.errors import PermanentError, TemporaryError
from pruning.hub.download_size import require_room

FILES = [
    SimpleNamespace(rfilename="model.safetensors", size=900),
    SimpleNamespace(rfilename="config.json", size=100),
    SimpleNamespace(rfilename="pytorch_model.bin", size=10**15),
    SimpleNamespace(rfilename="README.md", size=None),
]
PATTERNS = ["*.safetensors", "config.json", "README.md"]
Usage = namedtuple("Usage", "total used free")


def test_only_the_files_that_are_wanted_count(tmp_path: Path) -> None:
    require_room("org/toy", "c0ffee", FILES, PATTERNS, 1000)
    with pytest.raises(PermanentError, match=r"\b1000\b.*\b999\b") as caught:
        require_room("org/toy", "c0ffee", FILES, PATTERNS, 999)
    assert (caught.value.code, caught.value.param) == ("model_too_large", "model")
    require_room("org/toy", "c0ffee", FILES, PATTERNS, None)


def test_a_disk_without_room_is_a_temporary_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10, 10, 256 * 1024**2 + 999))
    with pytest.raises(TemporaryError, match=r"\b1000\b") as caught:
        require_room("org/toy", "c0ffee", FILES, PATTERNS, None)
    assert caught.value.code == "insufficient_storage"
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10, 10, 256 * 1024**2 + 1000))
    require_room("org/toy", "c0ffee", FILES, PATTERNS, None)


def test_what_is_in_the_cache_needs_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10, 10, 0))
    monkeypatch.setattr("pruning.hub.download_size.try_to_load_from_cache", lambda *_, **__: "/there")
    require_room("org/toy", "c0ffee", FILES, PATTERNS, None)
