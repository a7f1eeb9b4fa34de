"""Rows for benchmarks of the service: paused jobs with the spec of the newest one, and an artifact of a running one."""

import pytest
from sqlalchemy import select

from benchmarks.stock_rows import add_artifact, add_jobs
from service.db.engine import Database
from service.db.models import Artifact, Job
from service.states import Status
from tests.service import factories

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_jobs_repeat_the_newest_spec_and_the_columns_that_lists_filter_by(database: Database, database_url: str) -> None:
    spec = factories.load(database, factories.queued(database)).spec
    add_jobs(database_url, 3)
    with database.read() as session:
        added = session.scalars(select(Job).where(Job.status == Status.PAUSED)).all()
    assert [(job.spec, job.model, job.method, job.user_metadata) for job in added] == [
        (spec, spec["model"], spec["method"], {})
    ] * 3


def test_an_artifact_of_a_running_job_has_its_bytes_in_chunks(database: Database, database_url: str) -> None:
    job = factories.running(database)
    name = add_artifact(database_url, job.id, 300_000)
    with database.read() as session:
        artifact = session.scalars(select(Artifact).where(Artifact.job_id == job.id)).one()
    assert (artifact.name, artifact.size) == (name, 300_000)
