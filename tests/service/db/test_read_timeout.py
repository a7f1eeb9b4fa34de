"""Queries on a PostgreSQL connection that vanished or whose server is stuck."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from service.db import read_timeout
from service.db.engine import Database
from service.db.models import Job
from tests.service import factories
from tests.tcp_proxy import TcpProxy
from tests.waiting import wait_until

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def far(tcp_proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The database at the other end of the network."""
    monkeypatch.setattr(read_timeout, "READ_TIMEOUT_SECONDS", 0.5)
    far = Database(tcp_proxy.url)
    yield far
    far.dispose()


def ids(database: Database) -> list[str]:
    with database.read_connection() as connection:
        return list(connection.execute(select(Job.id)).scalars())


def test_dead_connections_are_replaced(database: Database, far: Database, tcp_proxy: TcpProxy) -> None:
    job_id = factories.queued(database)
    with far.read_connection(), far.read_connection():
        pass  # so that there are two
    tcp_proxy.cut()
    assert ids(far) == [job_id]
    assert tcp_proxy.discarded_data.is_set()
    assert ids(far) == [job_id]


def test_a_connection_that_dies_during_a_query(database: Database, far: Database, tcp_proxy: TcpProxy) -> None:
    job_id = factories.queued(database)
    with ThreadPoolExecutor() as threads:
        with factories.jobs_locked(database):
            query = threads.submit(ids, far)
            wait_until(lambda: factories.lock_is_awaited(database), what="the query")
            tcp_proxy.cut()
        with pytest.raises(OperationalError) as caught:
            query.result(timeout=20)
    assert isinstance(caught.value.orig, read_timeout.ServerTimeoutError)
    assert ids(far) == [job_id]


def test_a_query_that_the_server_does_not_answer(database: Database, far: Database) -> None:
    job_id = factories.queued(database)
    with factories.jobs_locked(database):
        with pytest.raises(OperationalError):
            ids(far)
        wait_until(lambda: not factories.lock_is_awaited(database), what="the end of its statement")
    assert ids(far) == [job_id]
