"""The broker is only a doorbell: killed, emptied or cut off, it delays jobs and does nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from service.jobs import commands
from service.states import Status
from tests.faults.cluster import Site, Stack, empty
from tests.faults.prefork_server import Zygote
from tests.services import RedisServer
from tests.waiting import until

ONLY_BELLS = {"rescue_seconds": 600.0}


@pytest.fixture
def production(
    redis_server: RedisServer, migrated_postgres: str, zygote: Zygote, tmp_path: Path
) -> Iterator["type[Site]"]:
    """Makes sites on a Redis that may be killed."""
    stack = Stack("production", migrated_postgres, redis_server.url)
    empty(stack)
    made: list[Site] = []

    class Production(Site):
        def __init__(self, **tuning: float) -> None:
            super().__init__(stack, tmp_path, zygote, **tuning)
            made.append(self)

    yield Production
    for site in made:
        site.close()


def test_submission_without_a_broker(production: type[Site], redis_server: RedisServer) -> None:
    site = production()
    redis_server.kill()
    site.api()
    assert site.post() is not None
    site.worker()  # starts without one, and looks into the table
    redis_server.start()
    assert site.settle().all == []


def test_killed_while_a_job_runs_and_back_again(production: type[Site], redis_server: RedisServer) -> None:
    site = production(**ONLY_BELLS)
    worker = site.worker()
    until(lambda: "is ready" in worker.said, what=lambda: f"the worker: {worker.said}")
    first = site.submit("wait")
    site.ring()
    site.trainer(first)
    redis_server.kill()
    redis_server.start()
    second = site.submit()
    site.ring()  # is heard by a worker that came back to the new server, once its slot is free
    site.change(commands.request_cancel, first)
    site.becomes(first, Status.CANCELLED)
    assert site.becomes(second, Status.SUCCEEDED).attempt == 1
    assert site.settle().all == []


def test_emptied(production: type[Site], redis_server: RedisServer) -> None:
    site = production()
    job_id = site.submit()
    site.ring(3)
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    site.worker()
    assert site.becomes(job_id, Status.SUCCEEDED).attempt == 1
    assert site.settle().all == []


def test_connections_reset_while_a_job_runs(production: type[Site], redis_server: RedisServer) -> None:
    """With late acknowledgement this would run the job again."""
    site = production(**ONLY_BELLS)
    worker = site.worker()
    until(lambda: "is ready" in worker.said, what=lambda: f"the worker: {worker.said}")
    job_id = site.submit("wait")
    site.ring()
    site.trainer(job_id)
    with redis.Redis.from_url(redis_server.url) as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    site.change(commands.request_cancel, job_id)
    assert site.becomes(job_id, Status.CANCELLED).attempt == 1
    after = site.submit()
    site.ring()
    assert site.becomes(after, Status.SUCCEEDED).attempt == 1
    assert site.settle().all == []
