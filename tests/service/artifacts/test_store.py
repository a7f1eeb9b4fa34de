"""Artifacts in both backends: complete or absent, in bounded memory, fenced."""

import hashlib
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session

from service.artifacts import store
from service.artifacts.s3 import READ_BYTES, open_bucket
from service.db.engine import Database
from service.db.models import Artifact, ArtifactChunk, Job, StoredObject
from service.errors import ArtifactMismatchError, ArtifactNotFoundError, LeaseLostError
from service.jobs import claims, commands
from service.jobs.fence import Fence
from tests import object_store
from tests.service import factories

_CHUNK = 4096
DATA = random.Random(1).randbytes(10 * _CHUNK + 123)


@pytest.fixture(params=["database", "objects"])
def target(request: pytest.FixtureRequest) -> str | None:
    """The ``storage_url`` that files are stored with; the test runs once per backend."""
    return request.getfixturevalue("storage_url") if request.param == "objects" else None


def rows(database: Database) -> tuple[int, int]:
    """How many artifacts and pieces of them there are, complete or not; an object is one piece."""
    tables = (Artifact, ArtifactChunk, StoredObject)
    with database.read() as session:
        count = [session.execute(select(func.count()).select_from(table)).scalar_one() for table in tables]
    return count[0], count[1] + count[2]


def left(target: str | None) -> int:
    """How many objects and begun uploads there are."""
    return len(object_store.objects(target)) + len(open_bucket(target).list_uploads("")) if target else 0


def read(database: Database, artifact_id: int, start: int = 0, stop: int | None = None) -> bytes:
    return b"".join(store.iter_bytes(database, artifact_id, start, stop))


def names(database: Database, job: Job) -> list[str]:
    with database.read() as session:
        return [artifact.name for artifact in store.list_for_job(session, job.id)]


@pytest.mark.parametrize("size", [0, 1, _CHUNK - 1, _CHUNK, _CHUNK + 1, 3 * _CHUNK, len(DATA)])
def test_artifacts_are_read_as_they_were_stored(database: Database, target: str | None, tmp_path: Path, size: int) -> None:
    job = factories.running(database)
    artifact_id = factories.store_file(database, job, tmp_path / "file", DATA[:size], name="file.bin", storage_url=target)
    with database.read() as session:
        artifact = store.get(session, job.id, "file.bin")
    assert (artifact.id, artifact.size, artifact.attempt) == (artifact_id, size, 1)
    assert artifact.sha256 == hashlib.sha256(DATA[:size]).hexdigest()
    assert rows(database) == (1, 1 if target else -(-size // _CHUNK))
    assert read(database, artifact_id) == DATA[:size]


def test_a_range_reads_only_the_chunks_it_touches(database: Database, tmp_path: Path) -> None:
    job = factories.running(database)
    artifact_id = factories.store_file(database, job, tmp_path / "file", DATA)
    asked: list[int] = []

    def count(_c: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append("FROM chunks" in statement)

    event.listen(database.engine, "before_cursor_execute", count)
    whole = len(DATA)
    for start, stop, chunks in (
        (0, 1, 1),
        (0, _CHUNK, 1),
        (_CHUNK - 1, _CHUNK + 1, 2),
        (_CHUNK, 2 * _CHUNK, 1),
        (5, 5, 0),
        (whole - 1, whole, 1),
        (whole, whole, 0),
        (100, whole - 100, 11),
    ):
        asked.clear()
        assert read(database, artifact_id, start, stop) == DATA[start:stop]
        assert sum(asked) == chunks, (start, stop)


def test_a_range_of_an_object_requests_no_more(database: Database, storage_url: str, tmp_path: Path) -> None:
    large = random.Random(4).randbytes(2 * READ_BYTES + 10)
    job = factories.running(database)
    artifact_id = factories.store_file(database, job, tmp_path / "file", large, storage_url=storage_url)
    asked: list[str] = []

    def count(request: Any, **_: object) -> None:
        asked.append(request.headers["Range"].decode())

    events = object_store.client(storage_url).meta.events
    events.register("before-send.s3.GetObject", count)
    for start, stop, ranges in (
        (0, 1, ["bytes=0-0"]),
        (5, 5, []),
        (len(large), len(large), []),
        (7, READ_BYTES + 9, [f"bytes=7-{READ_BYTES + 6}", f"bytes={READ_BYTES + 7}-{READ_BYTES + 8}"]),
    ):
        asked.clear()
        assert read(database, artifact_id, start, stop) == large[start:stop]
        assert asked == ranges
    events.unregister("before-send.s3.GetObject", count)


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (5, 4), (0, len(DATA) + 1)])
def test_a_range_outside_is_refused(database: Database, tmp_path: Path, start: int, stop: int) -> None:
    artifact_id = factories.store_file(database, factories.running(database), tmp_path / "file", DATA)
    with pytest.raises(ValueError, match=f"{start}.*{stop}.*{len(DATA)}"):
        store.iter_bytes(database, artifact_id, start, stop)


@pytest.mark.parametrize(
    ("size", "sha256", "message"),
    [
        (len(DATA) - 1, None, f"more .*{len(DATA) - 1}"),
        (len(DATA) + 1, None, f"less .*{len(DATA) + 1}"),
        (0, None, "more .* 0 "),
        (len(DATA), "0" * 64, "0000"),
    ],
)
def test_a_file_that_differs_from_its_announcement_leaves_nothing(
    database: Database, target: str | None, tmp_path: Path, size: int, sha256: str | None, message: str
) -> None:
    job = factories.running(database)
    (tmp_path / "file").write_bytes(DATA)
    with pytest.raises(ArtifactMismatchError, match=message):
        store.put(
            database,
            Fence(job.id, 1),
            name="file",
            media_type="text/plain",
            path=tmp_path / "file",
            size=size,
            sha256=sha256 or hashlib.sha256(DATA).hexdigest(),
            chunk_bytes=_CHUNK,
            storage_url=target,
        )
    assert rows(database) == (0, 0)
    assert left(target) == 0


def test_a_missing_file_leaves_nothing(database: Database, tmp_path: Path) -> None:
    job = factories.running(database)
    with pytest.raises(FileNotFoundError):
        store.put(
            database,
            Fence(job.id, 1),
            name="file",
            media_type="text/plain",
            path=tmp_path / "no",
            size=0,
            sha256=hashlib.sha256().hexdigest(),
            chunk_bytes=_CHUNK,
        )
    assert rows(database) == (0, 0)


def test_an_artifact_is_visible_once_complete_and_replaces_the_earlier_one(
    database: Database, target: str | None, tmp_path: Path
) -> None:
    job = factories.running(database)
    first = factories.store_file(database, job, tmp_path / "file", b"first", storage_url=target)
    seen: list[list[str]] = []
    many = random.Random(2).randbytes(9 * 1024 * 1024)  # three transactions

    def spy(_session: object) -> None:
        seen.append(names(database, job))
        assert read(database, first) == b"first"

    event.listen(database.engine, "commit", spy)
    second = factories.store_file(database, job, tmp_path / "file", many, chunk_bytes=256 * 1024, storage_url=target)
    event.remove(database.engine, "commit", spy)
    assert seen == [[factories.MASK]] * (4 if target else 5)  # begin, three lots of chunks or two parts, complete
    assert names(database, job) == [factories.MASK]
    assert read(database, second) == many
    assert rows(database) == (1, 1 if target else 36)
    with pytest.raises(ArtifactNotFoundError):
        store.iter_bytes(database, first)


def test_incomplete_artifacts_are_invisible_and_deleted_by_the_next_attempt(database: Database, tmp_path: Path) -> None:
    job = factories.running(database)
    with database.write() as session:  # what a worker killed half-way leaves
        session.add(
            Artifact(job_id=job.id, attempt=1, name="report.html", media_type="text/html", size=9, sha256="0" * 64, chunk_bytes=4)
        )
        session.flush()
        session.add(ArtifactChunk(artifact_id=session.scalars(select(Artifact.id)).one(), number=0, data=b"half"))
    assert names(database, job) == []
    with database.read() as session:
        with pytest.raises(ArtifactNotFoundError):
            store.get(session, job.id, "report.html")
        half = session.scalars(select(Artifact.id)).one()
    with pytest.raises(ArtifactNotFoundError):
        store.iter_bytes(database, half)
    with database.write() as session:
        claims.requeue(session, Fence(job.id, 1), reason="worker_shutdown")
    again = factories.claim(database)
    assert again is not None
    factories.store_file(database, again, tmp_path / "file", b"mask")
    assert rows(database) == (1, 1)


def test_a_stale_attempt_stores_nothing(database: Database, target: str | None, tmp_path: Path) -> None:
    job = factories.running(database)
    with database.write() as session:
        claims.requeue(session, Fence(job.id, 1), reason="worker_shutdown")
    factories.claim(database)
    with pytest.raises(LeaseLostError):
        factories.store_file(database, job, tmp_path / "file", DATA, storage_url=target)
    assert rows(database) == (0, 0)
    assert left(target) == 0


class Losing(Database):
    """Another process takes the job away before the third transaction: begin and one lot of chunks are in by then."""

    job_id = ""
    _writes = 0

    @contextmanager
    def write(self) -> Iterator[Session]:
        self._writes += 1
        if self._writes == 3:
            with super().write() as session:
                claims.requeue(session, Fence(self.job_id, 1), reason="worker_shutdown")
        with super().write() as session:
            yield session


def test_a_lease_lost_half_way_leaves_nothing(database: Database, target: str | None, tmp_path: Path) -> None:
    job = factories.running(database)
    losing = Losing(database.url)
    losing.job_id = job.id
    with pytest.raises(LeaseLostError):
        factories.store_file(losing, job, tmp_path / "file", random.Random(3).randbytes(9 * 1024 * 1024), storage_url=target)
    losing.dispose()
    assert rows(database) == (0, 0)
    assert left(target) == 0


def test_the_id_of_a_deleted_artifact_is_not_reused(database: Database, tmp_path: Path) -> None:
    job = factories.running(database)
    first = factories.store_file(database, job, tmp_path / "file", b"first")
    second = factories.store_file(database, job, tmp_path / "file", b"second")  # replaces the first
    with database.write() as session:
        claims.cancel(session, Fence(job.id, 1))
        commands.delete(session, job.id)
    third = factories.store_file(database, factories.running(database), tmp_path / "file", b"third")
    assert first < second < third


def test_reading_a_deleted_artifact_raises(database: Database, target: str | None, tmp_path: Path) -> None:
    job = factories.succeeded(database, tmp_path, storage_url=target)
    with database.read() as session:
        made = store.list_for_jobs(session, [job.id, "job_no"])
    assert [artifact.name for artifact in made[job.id]] == [factories.MASK]
    reader = store.iter_bytes(database, made[job.id][0].id)
    with database.write() as session:
        commands.delete(session, job.id)
    with pytest.raises(ArtifactNotFoundError, match=f"{factories.MASK}.*{job.id}"):
        next(reader)


def test_only_regular_files_are_stored(database: Database, tmp_path: Path) -> None:
    job = factories.running(database)
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(ArtifactMismatchError, match=name):
            store.put(
                database,
                Fence.from_row(job),
                name=name,
                media_type="text/plain",
                path=tmp_path / name,
                size=6,
                sha256=hashlib.sha256(b"secret").hexdigest(),
                chunk_bytes=4096,
            )
    with database.read() as session:
        assert session.scalars(select(Artifact)).all() == []
