"""Uploaded models on a worker's disk: verified, shared by jobs, within a limit, and never more than the disk has room for."""

import errno
import hashlib
import io
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import update

from pruning.files import CorruptDownloadError
from service import uploaded_models
from service.db.engine import Database
from service.db.models import ModelFile
from service.model_cache import MARGIN_BYTES
from service.uploaded_models import FileContent, ModelContent
from tests.service import factories
from tests.worker.conftest import SPEC, WorkerHarness
from worker.files import model_cache


def upload(database: Database, weights: bytes) -> str:
    data = {"config.json": b"{}", "model.safetensors": weights}
    files = {name: FileContent(io.BytesIO(each), len(each), hashlib.sha256(each).hexdigest()) for name, each in data.items()}
    content = ModelContent(files, "bert", None)
    uploaded_models.put(database, owner="local", name=None, content=content, chunk_bytes=7, on_stored=lambda *_: None)
    return uploaded_models.model_id_for("local", content.sha256)


def fetch(database: Database, harness: WorkerHarness, work: Path, model: str, **settings: Any) -> None:
    work.mkdir()
    changed = harness.context.settings.model_copy(update=settings)
    model_cache.fetch_models(database, changed, SPEC | {"model": model}, work)


def kept(harness: WorkerHarness) -> set[str]:
    folder = model_cache.models_folder(harness.context.settings.data_dir)
    return {entry.name for entry in folder.iterdir() if entry.is_dir()} if folder.is_dir() else set()


def test_a_model_is_fetched_once_for_all_jobs(database: Database, harness: WorkerHarness, tmp_path: Path) -> None:
    model = upload(database, b"0123456789")
    for name in ("first", "second"):
        fetch(database, harness, tmp_path / name, model)
        assert (tmp_path / name / "uploads" / model / "model.safetensors").read_bytes() == b"0123456789"
    assert kept(harness) == {model}


def test_a_file_that_arrives_damaged_is_not_kept(database: Database, harness: WorkerHarness, tmp_path: Path) -> None:
    model = upload(database, b"0123456789")
    with database.write() as session:
        session.execute(update(ModelFile).where(ModelFile.name == "config.json").values(sha256="0" * 64))
    with pytest.raises(CorruptDownloadError):
        fetch(database, harness, tmp_path / "work", model)
    assert kept(harness) == set()


def test_the_cache_loses_what_was_used_longest_ago_and_nothing_that_a_running_job_reads(
    database: Database, harness: WorkerHarness, tmp_path: Path
) -> None:
    models = [upload(database, bytes([each]) * 100) for each in range(4)]
    root = model_cache.models_folder(harness.context.settings.data_dir)
    for age, model in enumerate(models[:3]):
        fetch(database, harness, tmp_path / str(age), model)
        os.utime(root / model, (age, age))
    factories.running(database, spec=SPEC | {"model": models[0]})
    fetch(database, harness, tmp_path / "last", models[3], model_cache_bytes=330)
    assert kept(harness) == {models[0], models[2], models[3]}
    model_cache.evict(database, harness.context.settings.model_copy(update={"model_cache_bytes": 0}))
    assert kept(harness) == {models[0]}


def test_nothing_is_fetched_where_the_disk_has_no_room(
    database: Database, harness: WorkerHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = upload(database, b"0123456789")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=MARGIN_BYTES + 5))
    with pytest.raises(OSError, match=r"\b268435461\b") as caught:
        fetch(database, harness, tmp_path / "work", model)
    assert caught.value.errno == errno.ENOSPC
    assert kept(harness) == set()
