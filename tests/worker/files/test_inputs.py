"""Uploaded data sets on a worker's disk: complete before the trainer starts, shared, removed when no job needs them."""

import gzip
import hashlib
import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from pruning.data.local_check import check_dataset
from pruning.files import CorruptDownloadError
from pruning.spec.custom_task import CustomTask
from service import datasets
from service.db.engine import Database
from service.db.models import UploadedMask
from service.jobs import commands
from service.operations import deletion
from tests.service import factories
from tests.service.test_uploaded_masks import MASK, put
from tests.worker.conftest import SPEC, WorkerHarness
from worker.files import inputs
from worker.maintenance.garbage_collector import GarbageCollector
from worker.run.outcome import Failed, Outcome

ROW = gzip.compress(json.dumps({"body": "x", "queue": 0}).encode() + b"\n")


def upload(database: Database, sha256: str | None = None) -> str:
    about = {"sha256": sha256 or hashlib.sha256(ROW).hexdigest()}
    datasets.put(
        database,
        owner="local",
        name=None,
        sha256="a" * 64,
        splits={"train": about, "validation": about},
        chunk_bytes=7,
        files={"train": io.BytesIO(ROW), "validation": io.BytesIO(ROW)},
        on_stored=lambda *_: None,
    )
    return datasets.dataset_id_for("local", "a" * 64)


def spec_on(dataset: str) -> dict[str, Any]:
    return SPEC | {"task": {"dataset": dataset, "text": ["body"], "label": "queue", "label_words": ["a", "b"]}}


def submit(database: Database, dataset: str) -> str:
    with database.write() as session:
        return commands.create(session, spec=spec_on(dataset)).id


def kept(harness: WorkerHarness) -> list[str]:
    folder = inputs.datasets_folder(harness.context.settings.data_dir)
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []


def test_a_data_set_is_fetched_once_for_all_jobs(database: Database, harness: WorkerHarness, tmp_path: Path) -> None:
    dataset = upload(database)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        inputs.fetch_dataset(database, harness.context.settings, spec_on(dataset), tmp_path / name)
        check_dataset(tmp_path / name / "uploads" / dataset, CustomTask(**spec_on(dataset)["task"]))
    assert kept(harness) == [dataset]
    inputs.fetch_dataset(database, harness.context.settings, SPEC, tmp_path)
    assert not (tmp_path / "uploads").exists()


def test_concurrent_fetches_and_removals_of_one_data_set(database: Database, harness: WorkerHarness, tmp_path: Path) -> None:
    dataset, settings = upload(database), harness.context.settings
    submit(database, dataset)

    def fetch(number: int) -> None:
        work = tmp_path / str(number)
        work.mkdir()
        inputs.fetch_dataset(database, settings, spec_on(dataset), work)
        inputs.remove_unused_datasets(database, settings)
        check_dataset(work / "uploads" / dataset, CustomTask(**spec_on(dataset)["task"]))

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(fetch, range(6))) == [None] * 6
    assert kept(harness) == [dataset]


def test_a_damaged_download_is_not_used(database: Database, harness: WorkerHarness, tmp_path: Path) -> None:
    dataset = upload(database, sha256="b" * 64)
    with pytest.raises(CorruptDownloadError):
        inputs.fetch_dataset(database, harness.context.settings, spec_on(dataset), tmp_path)
    assert kept(harness) == []


def test_a_job_finds_its_data_set_and_the_collector_removes_it(database: Database, harness: WorkerHarness) -> None:
    dataset = upload(database)
    job_id = submit(database, dataset)
    claimed = harness.claim()
    collector = GarbageCollector(harness.context)
    (inputs.datasets_folder(harness.context.settings.data_dir) / f".{dataset}.dead").mkdir(parents=True)
    assert harness.run(claimed, "success") is Outcome.SUCCEEDED
    assert harness.job(job_id).status == "succeeded"
    assert dataset in kept(harness)
    submitted = submit(database, dataset)
    collector.collect()
    assert dataset in kept(harness)
    with database.write() as session:
        commands.request_cancel(session, submitted)
    collector.collect()
    assert kept(harness) == []


def test_a_deleted_data_set_fails_the_job(database: Database, harness: WorkerHarness) -> None:
    job_id = submit(database, "ds_" + "0" * 32)
    outcome = harness.run(harness.claim(), "success")
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.kind, outcome.param) == ("dataset_not_found", "user", "task.dataset")
    assert harness.job(job_id).status == "failed"


def test_the_mask_that_a_job_starts_from_is_fetched_without_its_weights(
    database: Database, harness: WorkerHarness, tmp_path: Path
) -> None:
    start = factories.succeeded(database, tmp_path, reports=["weights.safetensors"]).id
    work = tmp_path / "work"
    work.mkdir()
    inputs.fetch_start(database, SPEC | {"init_from": start}, work)
    (file,) = (work / "uploads" / start).iterdir()
    assert (file.name, file.read_bytes()) == ("mask.safetensors", b"mask")
    inputs.fetch_start(database, SPEC, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_an_uploaded_mask_that_a_job_starts_from_is_fetched(database: Database, harness: WorkerHarness, tmp_path: Path) -> None:
    mask = put(database, owner="local")
    work = tmp_path / "work"
    inputs.fetch_start(database, SPEC | {"init_from": mask}, work)
    assert (work / "uploads" / mask / "mask.safetensors").read_bytes() == MASK
    job_id = harness.submit(init_from=mask)
    with database.write() as session:
        session.execute(delete(UploadedMask))
    outcome = harness.run(harness.claim(), "success")
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.param) == ("start_missing", "init_from")
    assert harness.job(job_id).status == "failed"


def test_a_deleted_start_fails_the_job(database: Database, harness: WorkerHarness, tmp_path: Path) -> None:
    start = factories.succeeded(database, tmp_path).id
    job_id = harness.submit(init_from=start)
    deletion.delete_job(database, start)
    outcome = harness.run(harness.claim(), "success")
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.kind, outcome.param) == ("start_missing", "user", "init_from")
    assert start in outcome.message
    assert harness.job(job_id).status == "failed"
