"""Faults of the broker: killed, emptied or cut off, it delays jobs and does no other harm."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from service.jobs import commands
from service.states import Status
from tests.faults.cluster import Cluster, Stack, empty_database
from tests.faults.prefork_server import PreforkServer
from tests.services import RedisServer
from tests.waiting import wait_until

NO_MAINTENANCE: dict[str, Any] = {"rescue_seconds": 600.0}
"""Jobs start by notifications alone."""


@pytest.fixture
def production(
    redis_server: RedisServer, migrated_postgres: str, prefork_server: PreforkServer, tmp_path: Path
) -> Iterator["type[Cluster]"]:
    """Makes clusters on a Redis that may be killed."""
    stack = Stack("production", migrated_postgres, redis_server.url)
    empty_database(stack)
    made: list[Cluster] = []

    class Production(Cluster):
        def __init__(self, **tuning: float) -> None:
            super().__init__(stack, tmp_path, prefork_server, **tuning)
            made.append(self)

    yield Production
    for cluster in made:
        cluster.close()


def test_submission_without_a_broker(production: Callable[..., Cluster], redis_server: RedisServer) -> None:
    cluster = production()
    redis_server.kill()
    cluster.start_api()
    assert cluster.post() is not None
    cluster.start_worker()  # starts without one, and finds jobs in the table
    redis_server.start()
    assert cluster.finish().all == []


def test_a_broker_restarted_while_a_job_runs(production: Callable[..., Cluster], redis_server: RedisServer) -> None:
    cluster = production(**NO_MAINTENANCE)
    worker = cluster.start_worker()
    wait_until(lambda: "is ready" in worker.output, what=lambda: f"the worker: {worker.output}")
    first = cluster.submit("wait")
    cluster.notify_workers()
    cluster.trainer_pid(first)
    redis_server.kill()
    redis_server.start()
    second = cluster.submit()
    cluster.notify_workers()  # arrives at a worker that has reconnected, once its slot is free
    cluster.write(commands.request_cancel, first)
    cluster.wait_for_status(first, Status.CANCELLED)
    assert cluster.wait_for_status(second, Status.SUCCEEDED).attempt == 1
    assert cluster.finish().all == []


def test_an_emptied_broker(production: Callable[..., Cluster], redis_server: RedisServer) -> None:
    cluster = production()
    job_id = cluster.submit()
    cluster.notify_workers(3)
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    cluster.start_worker()
    assert cluster.wait_for_status(job_id, Status.SUCCEEDED).attempt == 1
    assert cluster.finish().all == []


def test_connections_reset_while_a_job_runs(production: Callable[..., Cluster], redis_server: RedisServer) -> None:
    """With late acknowledgement this would run the job again."""
    cluster = production(**NO_MAINTENANCE)
    worker = cluster.start_worker()
    wait_until(lambda: "is ready" in worker.output, what=lambda: f"the worker: {worker.output}")
    job_id = cluster.submit("wait")
    cluster.notify_workers()
    cluster.trainer_pid(job_id)
    with redis.Redis.from_url(redis_server.url) as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    cluster.write(commands.request_cancel, job_id)
    assert cluster.wait_for_status(job_id, Status.CANCELLED).attempt == 1
    after = cluster.submit()
    cluster.notify_workers()
    assert cluster.wait_for_status(after, Status.SUCCEEDED).attempt == 1
    assert cluster.finish().all == []
