"""Deletion in short transactions: nothing is left, nothing is shown half, and other writers get their turn."""

import time
from pathlib import Path

import pytest
from sqlalchemy import event, func, select

from service.artifacts import store
from service.db.engine import Database
from service.db.models import Artifact, ArtifactChunk, Job
from service.errors import IllegalTransitionError, JobNotFoundError
from service.jobs import claims, queries
from service.jobs.fence import Fence
from service.operations import deletion
from tests.service import factories


def count(database: Database, table: type[Job | Artifact | ArtifactChunk]) -> int:
    with database.read() as session:
        return session.scalars(select(func.count()).select_from(table)).one()


def running_with_artifact(database: Database, folder: Path) -> Job:
    job = factories.running(database)
    factories.store_file(database, job, folder / "big", bytes(100_000), name="big")
    return job


def test_a_job_is_deleted_in_batches(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deletion, "_BATCH_BYTES", 8 * 1024)
    kept = factories.succeeded(database, tmp_path)
    job = running_with_artifact(database, tmp_path)
    with pytest.raises(IllegalTransitionError):
        deletion.delete_job(database, job.id)
    with database.write() as session:
        claims.fail(session, Fence.from_row(job), error=factories.LOST)
    with pytest.raises(JobNotFoundError):
        deletion.delete_job(database, job.id, owner="else")
    with database.read() as session:
        assert store.get(session, job.id, "big").complete  # no refusal hides anything
    transactions = 0

    def committed(_connection: object) -> None:
        nonlocal transactions
        transactions += 1

    event.listen(database.engine, "commit", committed)
    deletion.delete_job(database, job.id)
    assert transactions >= 100_000 / 8192 + 2
    assert (count(database, Job), count(database, Artifact)) == (1, 1)
    with database.read() as session:
        assert queries.get(session, kept.id).mask_artifact_id is not None


def test_an_interrupted_deletion_shows_no_half_file_and_can_be_repeated(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "_BATCH_BYTES", 8 * 1024)
    job = running_with_artifact(database, tmp_path)
    with database.write() as session:
        claims.fail(session, Fence.from_row(job), error=factories.LOST)
    calls = []

    def killed(_seconds: float) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):  # noqa: PT012 - while it is patched
        patched.setattr(time, "sleep", killed)
        deletion.delete_job(database, job.id)
    with database.read() as session:
        assert store.list_for_job(session, job.id) == []
    deletion.delete_job(database, job.id)
    assert [count(database, table) for table in (Job, Artifact, ArtifactChunk)] == [0, 0, 0]
