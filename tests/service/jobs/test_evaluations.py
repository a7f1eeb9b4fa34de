"""Evaluation jobs on both databases: what is stored, which list they are in, their retries, and deletion with the mask's job."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from service import datasets
from service.db.engine import Database
from service.db.models import Delivery, Job, Webhook, kind_of
from service.errors import JobNotFoundError
from service.jobs import claims, commands, evaluations, exports, queries
from service.jobs.fence import Fence
from service.protocol import required_protocol
from service.states import JobKind, Status
from tests.service import factories

ROWS: dict[str, Any] = {"dataset": None, "config": None, "split": "test", "rows": 5, "dense": False}


def ask(database: Database, pruned: Job, **fields: Any) -> Job:
    with database.write() as session:
        return evaluations.request_evaluation(
            session, pruned.id, **{"spec": pruned.spec | {"devices": 4}, "evaluation": ROWS, "priority": 7, **fields}
        )


def test_an_evaluation_is_a_job_that_makes_no_mask(database: Database, tmp_path: Path) -> None:
    pruned = factories.succeeded(database, tmp_path)
    asked = ask(database, pruned)
    assert (kind_of(pruned), kind_of(asked)) == (JobKind.PRUNING, JobKind.EVALUATION)
    assert (asked.export_of, asked.evaluation, asked.exports, asked.priority) == (pruned.id, ROWS, [], 7)
    assert asked.spec["devices"] == 1
    assert (pruned.protocol, asked.protocol) == (required_protocol(JobKind.PRUNING), required_protocol(JobKind.EVALUATION))
    recorded = factories.recorded_events(database, asked.id)
    assert recorded == [("created", {"status": "queued", "evaluation_of": pruned.id})]
    assert ask(database, pruned).id != asked.id, "each is evaluated again"
    job = factories.claim(database)
    assert job is not None
    with database.write() as session:
        ended = claims.succeed(session, Fence.from_row(job), result={"rows": 5}, mask_artifact_id=None)
    assert (ended.id, ended.status, ended.mask_artifact_id) == (asked.id, Status.SUCCEEDED, None)
    with pytest.raises(JobNotFoundError):
        ask(database, Job(id="job_none", spec={}))


def test_each_kind_has_a_list(database: Database, tmp_path: Path) -> None:
    pruned = factories.succeeded(database, tmp_path)
    evaluation = ask(database, pruned)
    with database.write() as session:
        export = exports.request_export(session, pruned.id, {"csr": "export-csr.zip"})
    assert export.id != evaluation.id
    with database.read() as session:
        listed = {kind: queries.page(session, limit=9, kind=kind)[0] for kind in JobKind}
        of_mask = [queries.page(session, limit=9, kind=kind, of=pruned.id)[0] for kind in list(JobKind)[1:]]
    assert list(listed.values()) == [[pruned.id], [export.id], [evaluation.id]]
    assert of_mask == [[export.id], [evaluation.id]]


def test_a_retry_evaluates_the_same_rows(database: Database, tmp_path: Path) -> None:
    pruned = factories.succeeded(database, tmp_path)
    asked = ask(database, pruned)
    with database.write() as session:
        commands.request_cancel(session, asked.id)
        again = commands.retry(session, asked.id)
    assert (again.evaluation, again.export_of, again.exports, again.retried_from) == (ROWS, pruned.id, [], asked.id)


def test_it_is_deleted_with_the_job_whose_mask_it_is(database: Database, tmp_path: Path) -> None:
    pruned = factories.succeeded(database, tmp_path)
    asked = ask(database, pruned)
    with database.write() as session:
        commands.delete(session, pruned.id)
    with database.read() as session, pytest.raises(JobNotFoundError):
        queries.get(session, asked.id)


def test_messages_name_the_job_whose_mask_it_is(database: Database, tmp_path: Path) -> None:
    with database.write() as session:
        session.add(Webhook(owner="local", url="https://example.com", events=["job.started"], secret=b"x"))
    pruned = factories.succeeded(database, tmp_path)
    asked = ask(database, pruned)
    factories.claim(database)
    with database.read() as session:
        body = session.scalars(select(Delivery.body).where(Delivery.job_id == asked.id)).one()
    data = json.loads(body)["data"]
    assert (data["evaluation_of"], "export_of" in data) == (pruned.id, False)


def test_its_data_set_is_in_use_until_it_has_ended(database: Database, tmp_path: Path) -> None:
    pruned = factories.succeeded(database, tmp_path)
    dataset = "ds_" + "0" * 32
    ask(database, pruned, spec={**pruned.spec, "task": {"dataset": dataset}})
    with database.read() as session:
        assert datasets.ids_in_use(session) == {dataset}
