"""What the rescuer's sweep leaves to the background: retention and objects, none of which may hold it up."""

import logging
from pathlib import Path

import pytest
from sqlalchemy import update

from service.db.clock import now_sql
from service.db.models import Job
from tests import object_store, services
from tests.service import factories
from tests.worker.conftest import WorkerHarness
from worker.maintenance.maintainer import Maintainer

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_jobs_past_their_retention_go_with_their_objects(
    harness: WorkerHarness, storage_url: str, tmp_path: Path
) -> None:
    database = harness.context.database
    job = factories.succeeded(database, tmp_path, storage_url=storage_url)
    with database.write() as session:
        session.execute(update(Job).where(Job.id == job.id).values(finished_at=now_sql(-2 * 86_400)))
    assert len(object_store.objects(storage_url)) == 1
    changes = {"job_retention_days": 1, "storage_url": storage_url}
    harness.context.settings = harness.context.settings.model_copy(update=changes)
    rescuer = Maintainer(harness.context)
    rescuer.collect_garbage()
    rescuer._garbage_collector.wait()
    with database.read() as session:
        assert session.get(Job, job.id) is None
    assert object_store.objects(storage_url) == {}


def test_a_storage_that_is_away_is_only_told_of(harness: WorkerHarness, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    url = f"s3://b?endpoint=http://127.0.0.1:{services.free_port()}"
    harness.context.settings = harness.context.settings.model_copy(update={"storage_url": url})
    rescuer = Maintainer(harness.context)
    rescuer.collect_garbage()
    rescuer._garbage_collector.wait()
    assert f"{url} could not be swept" in caplog.text
