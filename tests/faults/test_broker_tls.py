"""API and worker with a Redis behind TLS: wake-up messages, rate limits and readiness, and an unknown certificate authority."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from service.access import api_keys
from service.access.api_keys import Scope
from service.states import Status
from tests import patient_http
from tests.certificates import certificates_in
from tests.conftest import or_skip
from tests.faults.cluster import Cluster, Stack, empty_database
from tests.faults.prefork_server import PreforkServer
from tests.services import RedisServer
from tests.stunnel import stunnel
from tests.waiting import wait_until


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    return certificates_in(tmp_path)


@pytest.fixture
def tls_port(redis_server: RedisServer, certificates: Path) -> Iterator[int]:
    yield from or_skip(partial(stunnel, redis_server.port, certificates, certificates))


@pytest.fixture
def make(migrated_postgres: str, prefork_server: PreforkServer, tmp_path: Path) -> Iterator[Callable[..., Cluster]]:
    made: list[Cluster] = []

    def make_cluster(broker_url: str, **tuning: object) -> Cluster:
        stack = Stack("tls", migrated_postgres, broker_url)
        empty_database(stack)
        made.append(Cluster(stack, tmp_path, prefork_server, **tuning))
        return made[-1]

    yield make_cluster
    for cluster in made:
        cluster.close()


def test_jobs_start_by_messages_through_tls_and_requests_are_counted(
    make: Callable[..., Cluster], tls_port: int, certificates: Path
) -> None:
    cluster = make(
        f"rediss://127.0.0.1:{tls_port}/0?ssl_ca_certs={certificates}/ca.pem",
        rescue_seconds=600.0,  # jobs start by messages alone
        require_keys=True,
        requests_per_minute=60,
    )
    worker = cluster.start_worker()
    wait_until(lambda: "is ready" in worker.output, what=lambda: f"the worker: {worker.output}")
    cluster.start_api()
    _, key = cluster.write(api_keys.create, name="test", scopes=(Scope.READ, Scope.WRITE))
    headers = {"Authorization": f"Bearer {key}"}
    body = {"model": "fake/steady", "task": "sst2"}
    accepted = patient_http.post(f"{cluster.url}/v1/jobs", json=body, headers=headers)
    assert accepted.status_code == 202, accepted.text
    assert "RateLimit" in accepted.headers, "it was counted in Redis"
    job = cluster.wait_for_status(accepted.json()["id"], Status.SUCCEEDED)
    assert job.attempt == 1
    assert patient_http.get(f"{cluster.url}/readyz").json()["checks"]["broker"] == "ok"


@pytest.mark.parametrize(("host", "knows_authority"), [("127.0.0.1", False), ("localhost", True)])
def test_a_certificate_that_is_refused(
    host: str, knows_authority: bool, make: Callable[..., Cluster], tls_port: int, certificates: Path
) -> None:
    """Nothing is sent there, everybody says why, and the job runs all the same."""
    authority = f"?ssl_ca_certs={certificates}/ca.pem" if knows_authority else ""
    cluster = make(f"rediss://:geheim@{host}:{tls_port}/0{authority}")
    worker = cluster.start_worker()
    api = cluster.start_api()
    job_id = cluster.post()
    assert job_id is not None
    cluster.wait_for_status(job_id, Status.SUCCEEDED)
    assert patient_http.get(f"{cluster.url}/readyz").json()["checks"]["broker"] == "degraded"
    for process in (worker, api):
        assert "certificate is refused" in process.output
        assert "geheim" not in process.output
