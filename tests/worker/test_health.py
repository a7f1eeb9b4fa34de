"""Health probe: a worker is healthy while its heartbeat is recent."""

import pytest

from tests.worker.conftest import WorkerHarness
from worker.health import is_healthy
from worker.maintenance.maintainer import Maintainer

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_health_follows_the_heartbeat(harness: WorkerHarness) -> None:
    assert not is_healthy(harness.context.settings)
    Maintainer(harness.context).tick()
    assert is_healthy(harness.context.settings)
    assert not is_healthy(harness.context.settings.model_copy(update={"worker_seen_seconds": -1.0}))
