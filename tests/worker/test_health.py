"""A worker is healthy as long as it tells the database that it lives."""

import pytest

from tests.worker.conftest import Bench
from worker.health import healthy
from worker.maintenance.maintainer import Rescuer

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_heard_of_or_not(bench: Bench) -> None:
    assert not healthy(bench.context.settings)
    Rescuer(bench.context).round()
    assert healthy(bench.context.settings)
    assert not healthy(bench.context.settings.model_copy(update={"worker_seen_seconds": -1.0}))
