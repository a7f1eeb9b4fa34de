"""Only the transitions of the table change a job."""

from collections.abc import Callable
from pathlib import Path

import pytest

from service.db.engine import Database
from service.db.models import Job
from service.jobs.transitions import transition
from service.states import TRANSITIONS, Status
from tests.service import factories

_MAKE: dict[Status, Callable[[Database, Path], Job]] = {
    Status.QUEUED: lambda database, _: factories.load(database, factories.queued(database)),
    Status.RUNNING: lambda database, _: factories.running(database),
    Status.PAUSED: lambda database, _: factories.paused(database),
    Status.SUCCEEDED: factories.succeeded,
    Status.FAILED: lambda database, _: factories.failed(database),
    Status.CANCELLED: lambda database, _: factories.cancelled(database),
}


@pytest.mark.parametrize("start", Status)
def test_an_illegal_transition_changes_nothing(database: Database, tmp_path: Path, start: Status) -> None:
    job = _MAKE[start](database, tmp_path)
    before = factories.recorded_events(database, job.id)
    for to in set(Status) - TRANSITIONS[start]:
        with database.write() as session:
            assert transition(session, to, job.id) is None, to
    assert factories.load(database, job.id).status is start
    assert factories.recorded_events(database, job.id) == before
