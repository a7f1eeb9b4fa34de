"""Limits of what is stored, in all and by one owner, with nothing half-stored beyond them."""

from pathlib import Path

import pytest
from sqlalchemy import func, select

from service.access import quotas
from service.access.quotas import Quota
from service.db.engine import Database
from service.db.models import Artifact
from service.errors import QuotaExceededError
from tests.service import factories


def test_limits_of_one_owner_and_of_all(database: Database, tmp_path: Path) -> None:
    mine, theirs = factories.running(database, owner="me"), factories.running(database, owner="you")
    factories.store_file(database, mine, tmp_path / "file", b"x" * 60)
    factories.store_file(database, theirs, tmp_path / "file", b"x" * 30)
    with database.read() as session:
        assert [quotas.stored_bytes(session, owner) for owner in ("me", "you", None)] == [60, 30, 90]
        for quota in (Quota(), Quota(total=91, per_owner=61)):
            quotas.check_submission(session, quota, "me")
        with pytest.raises(QuotaExceededError, match="me may store 60 bytes; delete"):
            quotas.check_submission(session, Quota(per_owner=60), "me")
        quotas.check_submission(session, Quota(per_owner=60), "you")
        with pytest.raises(QuotaExceededError, match="the service may store 90 bytes"):
            quotas.check_submission(session, Quota(total=90), "you")


def test_an_artifact_beyond_the_limit_leaves_nothing(database: Database, tmp_path: Path) -> None:
    job = factories.running(database, owner="me")
    factories.store_file(database, job, tmp_path / "file", b"x" * 60, quota=Quota(100, 60))
    factories.store_file(database, job, tmp_path / "file", b"y" * 60, quota=Quota(60, 60))  # replaces the first
    for quota in (Quota(total=99), Quota(per_owner=99)):
        with pytest.raises(QuotaExceededError, match=r"report.html of 40 bytes cannot be stored"):
            factories.store_file(database, job, tmp_path / "file", b"z" * 40, name="report.html", quota=quota)
    with database.read() as session:
        assert session.scalars(select(func.count()).select_from(Artifact)).one() == 1
    factories.store_file(database, job, tmp_path / "file", b"z" * 40, name="report.html", quota=Quota(100, 100))
