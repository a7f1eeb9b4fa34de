"""PostgreSQL goes away in the middle of a transaction and comes back: nothing is half done, nobody dies of it."""

import contextlib
import signal
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy.engine import make_url

from service import failpoints
from service.states import Status
from tests.faults.cluster import Site
from tests.waiting import until

P = failpoints.Failpoint
pytestmark = pytest.mark.parametrize("stack", ["production"], indirect=True)


@contextlib.contextmanager
def away(site: Site) -> Iterator[None]:
    """As clients see a restart: every connection is cut and new ones are refused inside the block."""
    url = make_url(site.settings.database_url)
    outside = url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(outside, autocommit=True) as server:
        server.execute(f"ALTER DATABASE {url.database} WITH ALLOW_CONNECTIONS false")
        try:
            server.execute(  # waits until they are gone: one that is slow to go might still take a COMMIT
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s", [str(url.database)]
            )  # fmt: skip
            yield
        finally:
            server.execute(f"ALTER DATABASE {url.database} WITH ALLOW_CONNECTIONS true")


@pytest.mark.parametrize("point", [P.CLAIM_WRITTEN, P.HEARTBEAT_WRITTEN, P.EVENT_WRITTEN, P.FINISH_WRITTEN])
def test_during_a_transaction(site: Site, point: failpoints.Failpoint) -> None:
    job_id = site.submit()
    worker = site.freeze(point)
    site.database.dispose()
    with away(site):
        worker.signal(signal.SIGCONT)
        until(lambda: "the database is away" in worker.said or "OperationalError" in worker.said, what="its absence")
    job = site.becomes(job_id, Status.SUCCEEDED)
    assert (job.attempt, job.attempts_spent) == (1, 0)
    assert site.settle().all == []


def test_the_api_says_so(site: Site) -> None:
    api = site.api()
    assert site.post() is not None
    site.database.dispose()
    with away(site):
        answer = site.ask("POST", "/v1/jobs", json={"model": "fake/steady", "task": "sst2"})
        assert answer is not None
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        alive = site.ask("GET", "/livez")
        assert alive is not None
        assert alive.status_code == 200
    assert site.post() is not None
    assert api.code is None
    site.worker()
    assert site.settle().all == []
