"""Uploaded data sets: complete or absent, one for each content, kept as long as a job reads them."""

import io
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from service import datasets, uploads
from service.access import quotas
from service.access.quotas import Quota
from service.db.clock import now_sql
from service.db.engine import Database
from service.db.models import Dataset, DatasetChunk
from service.errors import DatasetInUseError, DatasetNotFoundError, QuotaExceededError, RequestInProgressError
from service.jobs import commands
from tests.service import factories

CONTENT = b"0123456789"


class StoredCalls(list[tuple[str, bool]]):
    def __call__(self, _: Session, row: Dataset, new: bool) -> None:
        self.append((row.id, new))


def put(
    database: Database, *, owner: str = "ann", sha256: str = "a" * 64, on_stored: Any = None, quota: Quota | None = None
) -> str:
    datasets.put(
        database,
        owner=owner,
        name=None,
        sha256=sha256,
        splits={"train": {}, "dev": {}},
        chunk_bytes=4,
        files={"train": io.BytesIO(CONTENT), "dev": io.BytesIO(CONTENT[:3])},
        on_stored=StoredCalls() if on_stored is None else on_stored,
        quota=quota,
    )
    return datasets.dataset_id_for(owner, sha256)


def chunks(database: Database) -> int:
    with database.read() as session:
        return session.scalars(select(func.count()).select_from(DatasetChunk)).one()


def job_on(database: Database, dataset: str) -> str:
    return factories.queued(database, spec=factories.SPEC | {"task": {"dataset": dataset}})


def test_a_data_set_is_read_as_it_was_stored(database: Database) -> None:
    dataset = put(database)
    with database.read() as session:
        row = datasets.get(session, dataset, owner="ann")
        with pytest.raises(DatasetNotFoundError):
            datasets.get(session, dataset, owner="ben")
    assert list(datasets.iter_split(database, row.number, "train")) == [b"0123", b"4567", b"89"]
    assert b"".join(datasets.iter_split(database, row.number, "dev")) == CONTENT[:3]
    assert list(datasets.iter_split(database, row.number, "other")) == []


def test_the_same_content_is_stored_once_for_each_owner(database: Database) -> None:
    on_stored = StoredCalls()
    first = [
        put(database, on_stored=on_stored),
        put(database, on_stored=on_stored),
        put(database, owner="ben", on_stored=on_stored),
    ]
    assert [new for _, new in on_stored] == [True, False, True]
    assert first[0] == first[1] != first[2]
    assert chunks(database) == 8


def test_an_upload_that_a_concurrent_one_overtakes(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other, of the same content, begins and ends while this one is stored."""
    on_stored, write_chunks = StoredCalls(), uploads.write_chunks

    def overtaken(*arguments: Any) -> None:
        monkeypatch.setattr(datasets, "write_chunks", write_chunks)
        put(database, on_stored=on_stored)
        write_chunks(*arguments)

    monkeypatch.setattr(datasets, "write_chunks", overtaken)
    dataset = put(database, on_stored=on_stored)
    assert on_stored == [(dataset, True), (dataset, False)]
    assert chunks(database) == 4


def test_nothing_is_kept_of_an_upload_that_fails(database: Database) -> None:
    def refuse(*_: object) -> None:
        raise RequestInProgressError

    with pytest.raises(RequestInProgressError):
        put(database, on_stored=refuse)
    assert chunks(database) == 0
    assert put(database)


def test_a_data_set_that_jobs_read_is_not_deleted(database: Database) -> None:
    dataset = put(database)
    job_id = job_on(database, dataset)
    with database.read() as session:
        assert datasets.ids_in_use(session) == {dataset}
    with pytest.raises(DatasetInUseError, match=job_id), database.write() as session:
        datasets.delete(session, dataset, owner="ann")
    with database.write() as session:
        commands.request_cancel(session, job_id)
        assert datasets.ids_in_use(session) == set()
        datasets.delete(session, dataset, owner="ann")
    assert chunks(database) == 0
    with pytest.raises(DatasetNotFoundError), database.write() as session:
        datasets.delete(session, dataset, owner="ann")


def test_pages(database: Database) -> None:
    made = [put(database, sha256=f"{n:064}") for n in range(3)]
    put(database, owner="ben")
    with database.read() as session:
        rows, after = datasets.page(session, limit=2, owner="ann")
        assert ([row.id for row in rows], after) == (made[:0:-1], rows[-1].number)
        rows, after = datasets.page(session, limit=2, owner="ann", after=after)
        assert ([row.id for row in rows], after) == (made[:1], None)


def test_abandoned_uploads_are_deleted(database: Database) -> None:
    put(database)
    with database.write() as session:
        session.add(Dataset(id="ds_x", owner="ann", sha256="", splits={}, size=0))
        datasets.delete_abandoned(session)
    with database.read() as session:
        assert len(session.scalars(select(Dataset)).all()) == 2
    with database.write() as session:
        session.execute(update(Dataset).values(created_at=now_sql(-4000)))
        datasets.delete_abandoned(session)
        assert len(session.scalars(select(Dataset)).all()) == 1


def test_specs_that_name_an_uploaded_data_set() -> None:
    known = "ds_" + "0a" * 16
    assert datasets.dataset_named_in({"task": {"dataset": known}}) == known
    for task in ("sst2", {"dataset": "tickets"}, {"dataset": known + "0"}, {"dataset": 3}, None):
        assert datasets.dataset_named_in({"task": task}) is None


def test_a_data_set_beyond_the_quota_is_refused_and_one_within_it_counts(database: Database) -> None:
    put(database)
    with database.read() as session:
        assert quotas.stored_bytes(session, "ann") == len(CONTENT) + 3 == quotas.stored_bytes(session)
    for quota in (Quota(total=25), Quota(per_owner=12)):
        with pytest.raises(QuotaExceededError, match=r"\b13\b"):
            put(database, sha256="b" * 64, quota=quota)
    put(database, quota=Quota(per_owner=13))  # the same again is stored already
    put(database, sha256="b" * 64, quota=Quota(total=26, per_owner=26))
