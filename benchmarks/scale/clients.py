"""Simulated clients: submitters, status readers and claimers, by the functions that the API and workers call in the database.

Called by ``benchmarks.scale.process``. Readers go through the batching that an API process does; HTTP itself is measured by
``benchmarks.service``.
"""

import asyncio
import random
import time
from collections.abc import Collection, Mapping, Sequence

from api.request.query_batcher import QueryBatcher
from benchmarks.scale.schedule import Schedule, Timings
from benchmarks.scale.simulated_worker import Record
from benchmarks.scale.stock import OWNERS, spec
from service.access import quotas
from service.access.quotas import Quota
from service.db.engine import Database
from service.jobs import claims, commands, queries, views
from service.jobs.fence import Fence
from service.jobs.views import JobView


def start_submitters(schedule: Schedule, database: Database, record: Record, *, count: int, every_seconds: float) -> None:
    """``count`` clients, each of which submits a job ``every_seconds``."""
    resolved = spec()

    def submit() -> float:
        owner = f"owner-{random.randrange(OWNERS)}"
        with database.write() as session:
            queries.count_waiting(session, owner=owner)
            quotas.check_submission(session, Quota(), owner)
            job = commands.create(session, spec=resolved, owner=owner, metadata={"run": "scale"})
        record.submitted.append(job.id)
        return every_seconds

    for _ in range(count):
        schedule.add("submit", submit, random.uniform(0, every_seconds))


def start_claimers(schedule: Schedule, database: Database, record: Record, *, count: int, lease_seconds: float) -> None:
    """``count`` connections that claim one job after the other."""

    def claim() -> float | None:
        with database.write() as session:
            job = claims.claim(session, worker_id="claimer", lease_seconds=lease_seconds)
        if job is None:
            return None
        record.claimed.append((job.id, job.attempt))
        return 0.0

    for _ in range(count):
        schedule.add("claim", claim)


def requeue_claimed(database: Database, record: Record) -> None:
    """Return to the queue what the claimers hold."""
    for job_id, attempt in record.claimed:
        with database.write() as session:
            claims.requeue(session, Fence(job_id, attempt), reason="worker_shutdown")
        record.requeued.append(job_id)


def read_status(
    database: Database, job_ids: Sequence[str], *, count: int, every_seconds: float, measure_from: float, until: float
) -> Timings:
    """``count`` clients, each of which asks for the state of one job ``every_seconds``, until the monotonic clock says so."""
    timings = Timings()

    def fetch(ids: Collection[str]) -> Mapping[str, JobView]:
        with database.read_connection() as connection:
            return views.load(connection, ids)

    async def client(batcher: QueryBatcher[str, JobView]) -> None:
        due = time.monotonic() + random.uniform(0, every_seconds)
        while due < until:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            began = time.monotonic()
            await batcher.load(random.choice(job_ids))
            if due >= measure_from:
                timings.latency.append(time.monotonic() - due)
                timings.busy.append(time.monotonic() - began)
            due = max(due + every_seconds, began)

    async def run() -> None:
        batcher: QueryBatcher[str, JobView] = QueryBatcher("status", fetch)
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(client(batcher))
        batcher.close()

    if count:
        asyncio.run(run())
    return timings
