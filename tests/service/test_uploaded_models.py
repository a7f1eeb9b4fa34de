"""Uploaded models: complete or absent, one for each content, counted in quotas, kept while a job reads them."""

import hashlib
import io
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from service import uploaded_models
from service.access import quotas
from service.access.quotas import Quota
from service.db.clock import now_sql
from service.db.engine import Database
from service.db.models import ModelChunk, UploadedModel
from service.errors import ModelInUseError, QuotaExceededError, RequestInProgressError, UploadedModelNotFoundError
from service.jobs import commands
from service.uploaded_models import FileContent, ModelContent
from tests.service import factories

WEIGHTS = b"0123456789"


def content(weights: bytes = WEIGHTS) -> ModelContent:
    files = {"config.json": b"{}", "model.safetensors": weights}
    made = {name: FileContent(io.BytesIO(data), len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items()}
    return ModelContent(made, "bert", 7)


def put(database: Database, *, owner: str = "ann", on_stored: Any = lambda *_: None, **more: Any) -> str:
    given = more.pop("content", content())
    uploaded_models.put(database, owner=owner, name=None, content=given, chunk_bytes=4, on_stored=on_stored, **more)
    return uploaded_models.model_id_for(owner, given.sha256)


def count(database: Database, table: Any = ModelChunk) -> int:
    with database.read() as session:
        return session.scalars(select(func.count()).select_from(table)).one()


def test_a_model_is_read_as_it_was_stored_and_in_ranges(database: Database) -> None:
    model = put(database)
    with database.read() as session:
        row = uploaded_models.get(session, model, owner="ann")
        files = {file.name: file for file in uploaded_models.files_of(session, row.number)}
        with pytest.raises(UploadedModelNotFoundError):
            uploaded_models.get(session, model, owner="ben")
    assert list(uploaded_models.iter_file(database, files["model.safetensors"])) == [b"0123", b"4567", b"89"]
    for start, stop in ((0, 10), (3, 4), (3, 9), (4, 8), (10, 10)):
        found = b"".join(uploaded_models.iter_file(database, files["model.safetensors"], start, stop))
        assert found == WEIGHTS[start:stop]


def test_the_same_content_is_stored_once_for_each_owner(database: Database) -> None:
    calls: list[tuple[str, bool]] = []

    def stored(_: Session, row: UploadedModel, new: bool) -> None:
        calls.append((row.owner, new))

    assert put(database, on_stored=stored) == put(database, on_stored=stored)
    assert put(database, owner="ben", on_stored=stored) != put(database, on_stored=stored)
    assert calls == [("ann", True), ("ann", False), ("ben", True), ("ann", False)]
    assert put(database, content=content(b"other")) != put(database)


def test_it_counts_in_quotas_and_nothing_of_what_exceeds_them_stays(database: Database) -> None:
    put(database)
    with database.read() as session:
        assert quotas.stored_bytes(session, "ann") == quotas.stored_bytes(session) == len(WEIGHTS) + 2
    with pytest.raises(QuotaExceededError):
        put(database, content=content(b"more"), quota=Quota(per_owner=15))
    assert count(database, UploadedModel) == 1


def test_an_answer_that_cannot_be_stored_leaves_nothing(database: Database) -> None:
    def refuse(*_: Any) -> None:
        raise RequestInProgressError

    with pytest.raises(RequestInProgressError):
        put(database, on_stored=refuse)
    assert (count(database), count(database, UploadedModel)) == (0, 0)


@pytest.mark.parametrize("field", ["model", "teacher"])
def test_it_stays_while_a_job_reads_it(database: Database, field: str) -> None:
    model = put(database)
    job = factories.queued(database, spec=factories.SPEC | {field: model})
    with database.write() as session:
        assert uploaded_models.models_named_in(factories.SPEC | {field: model}) == {model}
        with pytest.raises(ModelInUseError, match=job):
            uploaded_models.hide(session, model, owner="ann")
    with database.write() as session:
        commands.request_cancel(session, job)
        number = uploaded_models.hide(session, model, owner="ann")
    with database.read() as session, pytest.raises(UploadedModelNotFoundError):
        uploaded_models.get(session, model)
    uploaded_models.purge(database, number)
    assert (count(database), count(database, UploadedModel)) == (0, 0)


def test_what_was_left_half_way_is_purged_after_a_day(database: Database) -> None:
    put(database)
    with database.write() as session:
        session.execute(update(UploadedModel).values(complete=False))
    uploaded_models.purge_abandoned(database, lambda: False)
    assert count(database, UploadedModel) == 1
    with database.write() as session:
        session.execute(update(UploadedModel).values(created_at=now_sql(-25 * 3600.0)))
    uploaded_models.purge_abandoned(database, lambda: False)
    assert (count(database), count(database, UploadedModel)) == (0, 0)
