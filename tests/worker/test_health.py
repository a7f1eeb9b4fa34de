"""A worker is healthy as long as it tells the database that it lives."""

import pytest

from tests.worker.conftest import WorkerHarness
from worker.health import is_healthy
from worker.maintenance.maintainer import Maintainer

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_heard_of_or_not(harness: WorkerHarness) -> None:
    assert not is_healthy(harness.context.settings)
    Maintainer(harness.context).tick()
    assert is_healthy(harness.context.settings)
    assert not is_healthy(harness.context.settings.model_copy(update={"worker_seen_seconds": -1.0}))
