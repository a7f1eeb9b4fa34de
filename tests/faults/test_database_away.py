"""PostgreSQL restarts in the middle of a transaction: nothing is half done and every process survives."""

import contextlib
import signal
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy.engine import make_url

from service import failpoints
from service.states import Status
from tests.faults.cluster import Cluster
from tests.waiting import wait_until

P = failpoints.Failpoint
pytestmark = pytest.mark.parametrize("stack", ["production"], indirect=True)


@contextlib.contextmanager
def away(cluster: Cluster) -> Iterator[None]:
    """As clients see a restart: every connection is cut and new ones are refused inside the block."""
    url = make_url(cluster.settings.database_url)
    outside = url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(outside, autocommit=True) as server:
        server.execute(f"ALTER DATABASE {url.database} WITH ALLOW_CONNECTIONS false")
        try:
            server.execute(  # waits until they are gone: one that is slow to go might still take a COMMIT
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s", [str(url.database)]
            )
            yield
        finally:
            server.execute(f"ALTER DATABASE {url.database} WITH ALLOW_CONNECTIONS true")


@pytest.mark.parametrize("point", [P.CLAIM_WRITTEN, P.HEARTBEAT_WRITTEN, P.EVENT_WRITTEN, P.FINISH_WRITTEN])
def test_during_a_transaction(cluster: Cluster, point: failpoints.Failpoint) -> None:
    job_id = cluster.submit()
    worker = cluster.freeze_worker_at(point)
    cluster.database.dispose()
    with away(cluster):
        worker.signal(signal.SIGCONT)
        wait_until(lambda: "the database is unreachable" in worker.output or "OperationalError" in worker.output, what="an error")
    job = cluster.wait_for_status(job_id, Status.SUCCEEDED)
    assert (job.attempt, job.attempts_spent) == (1, 0)
    assert cluster.finish().all == []


def test_the_api_responds_503(cluster: Cluster) -> None:
    api = cluster.start_api()
    assert cluster.post() is not None
    cluster.database.dispose()
    with away(cluster):
        answer = cluster.request("POST", "/v1/jobs", json={"model": "fake/steady", "task": "sst2"})
        assert answer is not None
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        alive = cluster.request("GET", "/livez")
        assert alive is not None
        assert alive.status_code == 200
    assert cluster.post() is not None
    assert api.exit_code is None
    cluster.start_worker()
    assert cluster.finish().all == []
