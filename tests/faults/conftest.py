"""Fixtures of the fault tests: one cluster per test, on either stack (SQLite with files, PostgreSQL with Redis)."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.cluster import Cluster, Stack, empty_database
from tests.faults.prefork_server import PreforkServer

MakeCluster = Callable[..., Cluster]


@pytest.fixture(scope="session")
def prefork_server() -> Iterator[PreforkServer]:
    with PreforkServer() as prefork_server:
        yield prefork_server


@pytest.fixture(params=["embedded", "production"])
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Stack:
    """An empty one; the test runs once on each."""
    if request.param == "embedded":
        found = Stack("embedded", f"sqlite:///{tmp_path}/espalier.db")
        empty_database(found, request.getfixturevalue("migrated_sqlite"))
    else:
        found = Stack("production", request.getfixturevalue("migrated_postgres"), request.getfixturevalue("redis_url"))
        empty_database(found)
    return found


@pytest.fixture
def make_cluster(stack: Stack, prefork_server: PreforkServer, tmp_path: Path) -> Iterator[MakeCluster]:
    """A service with settings changed."""
    made: list[Cluster] = []

    def make(**tuning: Any) -> Cluster:
        made.append(Cluster(stack, tmp_path, prefork_server, **tuning))
        return made[-1]

    yield make
    for cluster in made:
        cluster.close()


@pytest.fixture
def cluster(make_cluster: MakeCluster) -> Cluster:
    return make_cluster()


embedded_only = pytest.mark.parametrize("stack", ["embedded"], indirect=True)
"""For what concerns processes more than rows."""
