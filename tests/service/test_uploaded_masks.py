"""Uploaded masks: read as they were stored, counted in quotas, kept while a job starts from them."""

import hashlib
import io

import pytest
from sqlalchemy import func, select, update

from service import uploaded_masks
from service.access import quotas
from service.access.quotas import Quota
from service.db.clock import now_sql
from service.db.engine import Database
from service.db.models import MaskChunk, UploadedMask
from service.errors import MaskInUseError, QuotaExceededError, UploadedMaskNotFoundError
from service.jobs import commands
from tests.service import factories

MASK = b"0123456789"


def put(database: Database, *, owner: str = "ann", data: bytes = MASK, quota: Quota | None = None) -> str:
    sha256 = hashlib.sha256(data).hexdigest()
    uploaded_masks.put(
        database,
        owner=owner,
        name=None,
        sha256=sha256,
        size=len(data),
        about={"head": "label-words"},
        file=io.BytesIO(data),
        chunk_bytes=4,
        on_stored=lambda *_: None,
        quota=quota,
    )
    return uploaded_masks.mask_id_for(owner, sha256)


def count(database: Database) -> int:
    with database.read() as session:
        return session.scalars(select(func.count()).select_from(MaskChunk)).one()


def test_it_is_read_as_it_was_stored_and_counts_in_quotas(database: Database) -> None:
    mask = put(database)
    assert put(database) == mask != put(database, owner="ben")
    with database.read() as session:
        row = uploaded_masks.get(session, mask, owner="ann")
        assert quotas.stored_bytes(session, "ann") == len(MASK)
        assert quotas.stored_bytes(session) == 2 * len(MASK)
        with pytest.raises(UploadedMaskNotFoundError):
            uploaded_masks.get(session, mask, owner="ben")
    assert [*uploaded_masks.iter_bytes(database, row)] == [b"0123", b"4567", b"89"]
    with pytest.raises(QuotaExceededError):
        put(database, data=b"more", quota=Quota(per_owner=12))
    assert count(database) == 6


def test_it_stays_while_a_job_starts_from_it(database: Database) -> None:
    mask = put(database)
    job = factories.queued(database, spec=factories.SPEC | {"init_from": mask})
    with database.write() as session, pytest.raises(MaskInUseError, match=job):
        uploaded_masks.delete(session, mask, owner="ann")
    with database.write() as session:
        commands.request_cancel(session, job)
        uploaded_masks.delete(session, mask, owner="ann")
    assert count(database) == 0


def test_what_was_left_half_way_is_deleted_after_an_hour(database: Database) -> None:
    put(database)
    for seconds, left in ((0.0, 3), (2 * 3600.0, 0)):
        with database.write() as session:
            session.execute(update(UploadedMask).values(complete=False, created_at=now_sql(-seconds)))
            uploaded_masks.delete_abandoned(session)
        assert count(database) == left
