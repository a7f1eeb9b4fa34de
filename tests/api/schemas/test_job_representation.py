"""Status reads while the connection that they share is dead and the client has not noticed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from service.access import api_keys
from service.db import read_timeout
from service.db.engine import Database
from service.settings import Settings
from tests.api.conftest import Jobs, local
from tests.api.problems import assert_problem
from tests.service import factories
from tests.tcp_proxy import TcpProxy
from tests.waiting import wait_until

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def client(database: Database, tcp_proxy: TcpProxy, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Has a key, so that this is read as well."""
    monkeypatch.setattr(read_timeout, "READ_TIMEOUT_SECONDS", 0.5)
    with database.write() as session:
        _, key = api_keys.create(session, name="reader")
    app = create_app(settings.model_copy(update={"database_url": tcp_proxy.url, "require_keys": True}))
    with local(app) as client:
        client.headers["Authorization"] = f"Bearer {key}"
        yield client


def test_reads_after_the_cut_are_answered(client: TestClient, jobs: Jobs, tcp_proxy: TcpProxy) -> None:
    paths = [f"/v1/jobs/{jobs.queued()}" for _ in range(8)]
    before = [client.get(path).content for path in paths]
    tcp_proxy.cut()
    with ThreadPoolExecutor(len(paths)) as threads:
        answers = list(threads.map(client.get, paths, timeout=20))
    assert [answer.content for answer in answers] == before
    assert tcp_proxy.discarded_data.is_set()


def test_a_read_during_the_cut_is_a_503_with_retry_after(
    client: TestClient, jobs: Jobs, database: Database, tcp_proxy: TcpProxy
) -> None:
    path = f"/v1/jobs/{jobs.queued()}"
    assert client.get(path).status_code == 200
    with ThreadPoolExecutor() as threads:
        with factories.jobs_locked(database):
            during = threads.submit(client.get, path)
            wait_until(lambda: factories.lock_is_awaited(database), what="the read")
            tcp_proxy.cut()
        answer = during.result(timeout=20)
    assert_problem(answer, 503, "database_unavailable")
    assert answer.headers["retry-after"] == "5"
    assert client.get(path).status_code == 200
