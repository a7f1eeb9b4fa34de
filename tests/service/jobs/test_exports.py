"""Export jobs on both databases: one job for repeated requests, deleted with the job that they export."""

from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from service.artifacts import store
from service.db.engine import Database
from service.db.models import Job
from service.errors import ArtifactNotFoundError, JobNotFoundError, LeaseLostError
from service.jobs import claims, commands, exports, queries
from service.jobs.fence import Fence
from service.states import JobKind, Status
from tests.service import factories

FILES = {"csr": "export-csr.zip", "onnx": "export-onnx.zip"}


def ask(database: Database, job_id: str, *formats: str) -> Job:
    with database.write() as session:
        return exports.request_export(session, job_id, {name: FILES[name] for name in formats}, priority=7)


def run(database: Database, export: Job, folder: Path, *formats: str) -> Job:
    """Let the job, which is the next, make these and succeed."""
    job = factories.claim(database)
    assert job is not None
    assert job.id == export.id
    for name in formats:
        factories.store_file(database, job, folder / name, b"files", name=FILES[name])
    with database.write() as session:
        return claims.succeed(session, Fence.from_row(job), result={"exports": []}, mask_artifact_id=None)


def test_a_repeated_request_finds_the_existing_job(database: Database, tmp_path: Path) -> None:
    pruned = factories.succeeded(database, tmp_path)
    first = ask(database, pruned.id, "csr", "onnx")
    assert (first.export_of, first.exports, first.priority, first.status) == (pruned.id, ["csr", "onnx"], 7, "queued")
    assert first.spec == pruned.spec | {"devices": 1}
    assert factories.recorded_events(database, first.id) == [("created", {"status": "queued", "export_of": pruned.id})]
    assert ask(database, pruned.id, "onnx").id == first.id
    ended = run(database, first, tmp_path, "csr", "onnx")
    assert (ended.status, ended.mask_artifact_id) == (Status.SUCCEEDED, None)
    assert ask(database, pruned.id, "onnx", "csr").id == first.id
    with database.write() as session:
        session.delete(store.get(session, first.id, FILES["csr"]))  # as its retention would
    assert ask(database, pruned.id, "onnx").id == first.id
    assert ask(database, pruned.id, "csr").id != first.id


def test_formats_that_no_job_will_make_get_a_new_job(database: Database, tmp_path: Path) -> None:
    pruned = factories.succeeded(database, tmp_path)
    first = ask(database, pruned.id, "csr")
    both = ask(database, pruned.id, "csr", "onnx")
    assert both.id != first.id  # which makes one of them only
    with database.write() as session:
        commands.request_cancel(session, both.id)
    factories.claim(database)
    with database.write() as session:
        commands.request_cancel(session, first.id)
    second = ask(database, pruned.id, "csr")
    assert second.id not in (first.id, both.id)  # one was cancelled, the other is about to be
    with database.write() as session:
        again = commands.retry(session, both.id)
    assert (again.export_of, again.exports) == (pruned.id, ["csr", "onnx"])
    assert ask(database, pruned.id, "onnx").id == again.id


def test_exports_of_the_pruning_job_itself_are_found(database: Database, tmp_path: Path) -> None:
    pruned = factories.succeeded(database, tmp_path, reports=[FILES["csr"]])
    assert ask(database, pruned.id, "csr").id == pruned.id
    with pytest.raises(JobNotFoundError):
        ask(database, "job_0", "csr")


def test_export_jobs_are_listed_apart(database: Database, tmp_path: Path) -> None:
    pruned, other = factories.succeeded(database, tmp_path), factories.succeeded(database, tmp_path)
    export, another = ask(database, pruned.id, "csr"), ask(database, other.id, "csr")
    with database.read() as session:
        assert set(queries.page(session, limit=9)[0]) == {pruned.id, other.id}
        assert set(queries.page(session, limit=9, kind=JobKind.EXPORT)[0]) == {export.id, another.id}
        assert queries.page(session, limit=9, kind=JobKind.EXPORT, of=pruned.id)[0] == [export.id]


def test_export_jobs_are_deleted_with_their_job_also_while_running(database: Database, tmp_path: Path) -> None:
    pruned = factories.succeeded(database, tmp_path)
    export = ask(database, pruned.id, "csr")
    running = factories.claim(database)
    assert running is not None
    with database.write() as session:
        commands.delete(session, pruned.id)
    with database.read() as session, pytest.raises(JobNotFoundError):
        queries.get(session, export.id)
    with database.write() as session, pytest.raises(LeaseLostError):
        claims.renew_lease(session, Fence(export.id, running.attempt), lease_seconds=60)
    with pytest.raises(LeaseLostError):
        factories.store_file(database, running, tmp_path / "late", b"late", name=FILES["csr"])


def test_a_job_that_prunes_still_needs_a_mask(database: Database, tmp_path: Path) -> None:
    pruned = factories.succeeded(database, tmp_path)
    job = factories.running(database)
    with database.write() as session, pytest.raises(ArtifactNotFoundError):
        claims.succeed(session, Fence.from_row(job), result={}, mask_artifact_id=None)
    with pytest.raises(IntegrityError, match="exports_named"), database.write() as session:
        commands.create(session, spec=factories.SPEC, export_of=pruned.id)
