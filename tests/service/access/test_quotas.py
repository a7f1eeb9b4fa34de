"""Limits of what is stored, in all and by one owner, with nothing half-stored beyond them."""

from pathlib import Path

import pytest
from sqlalchemy import func, select

from service.access import quotas
from service.access.quotas import Quota
from service.db.engine import Database
from service.db.models import Artifact, Job, RunWarning
from service.db.paging import json_bytes
from service.errors import QuotaExceededError
from service.jobs import claims, queries
from service.jobs.fence import Fence
from tests.service import factories


def records(database: Database, owner: str | None = None) -> int:
    """Bytes of jobs apart from their files."""
    with database.read() as session:
        counted = select(func.sum(Job.record_bytes))
        return session.scalars(counted if owner is None else counted.where(Job.owner == owner)).one()


def test_limits_of_one_owner_and_of_all(database: Database, tmp_path: Path) -> None:
    mine, theirs = factories.running(database, owner="me"), factories.running(database, owner="you")
    factories.store_file(database, mine, tmp_path / "file", b"x" * 60)
    factories.store_file(database, theirs, tmp_path / "file", b"x" * 30)
    stored = {owner: size + records(database, owner) for owner, size in (("me", 60), ("you", 30), (None, 90))}
    with database.read() as session:
        assert {owner: quotas.stored_bytes(session, owner) for owner in stored} == stored
        for quota in (Quota(), Quota(total=stored[None] + 1, per_owner=stored["me"] + 1)):
            quotas.check_submission(session, quota, "me")
        with pytest.raises(QuotaExceededError, match=f"me .*{stored['me']} "):
            quotas.check_submission(session, Quota(per_owner=stored["me"]), "me")
        quotas.check_submission(session, Quota(per_owner=stored["me"]), "you")
        with pytest.raises(QuotaExceededError, match=f"{stored[None]} "):
            quotas.check_submission(session, Quota(total=stored[None]), "you")


def test_specs_events_metrics_and_warnings_count(database: Database) -> None:
    early, late = (RunWarning(code=code, message="z" * 80, remedy="r") for code in ("budget_small", "scores_are_noise"))
    job = factories.running(database, metadata={"note": "x" * 50}, warnings=[early])
    fence = Fence.from_row(job)
    with database.write() as session:
        claims.record_event(session, fence, "log", {"message": "y" * 100})
        claims.record_metrics(session, fence, step=1, values={"loss": 0.5})
        for warning in (late, late, early):  # another time, in place of the first
            claims.add_warning(session, fence, warning)
    with database.read() as session:
        events = [json_bytes(event.data) for event in queries.events(session, job.id)]
        expected = json_bytes(job.spec, job.user_metadata, {"loss": 0.5}, early, late) + sum(events)
        assert quotas.stored_bytes(session) == records(database) == expected > 250


def test_checkpoints_count_until_the_job_ends_but_not_against_its_result(database: Database, tmp_path: Path) -> None:
    job = factories.running(database)
    fence = Fence.from_row(job)
    with database.write() as session:
        claims.set_progress(session, fence, checkpoint_bytes=1_000_000)
    quota = Quota(per_owner=100_000)
    with database.read() as session:
        assert quotas.stored_bytes(session, job.owner) == 1_000_000 + records(database)
        with pytest.raises(QuotaExceededError, match=r"\b100000\b"):
            quotas.check_submission(session, quota, job.owner)
    mask = factories.store_file(database, job, tmp_path / "file", b"mask", quota=quota)
    with database.write() as session:
        claims.succeed(session, fence, result={}, mask_artifact_id=mask)
    with database.read() as session:
        quotas.check_submission(session, quota, job.owner)


def test_an_artifact_beyond_the_limit_leaves_nothing(database: Database, tmp_path: Path) -> None:
    job = factories.running(database, owner="me")
    held = records(database)
    factories.store_file(database, job, tmp_path / "file", b"x" * 60, quota=Quota(100 + held, 60 + held))
    factories.store_file(database, job, tmp_path / "file", b"y" * 60, quota=Quota(60 + held, 60 + held))  # replaces it
    for quota in (Quota(total=99 + held), Quota(per_owner=99 + held)):
        with pytest.raises(QuotaExceededError, match=r"report\.html.* 40 "):
            factories.store_file(database, job, tmp_path / "file", b"z" * 40, name="report.html", quota=quota)
    with database.read() as session:
        assert session.scalars(select(func.count()).select_from(Artifact)).one() == 1
    quota = Quota(100 + held, 100 + held)
    factories.store_file(database, job, tmp_path / "file", b"z" * 40, name="report.html", quota=quota)
