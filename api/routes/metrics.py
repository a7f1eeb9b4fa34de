"""Prometheus endpoint ``/metrics``: the state of the whole service from the database, and what this process has counted by itself.

Every API process is a target of its own. What comes from the database is the same from each, so queries take the maximum over
targets and not the sum.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from api.errors.problems import problem_responses
from api.request.auth import MetricsReader
from api.request.deps import Services, ServicesDep
from service.db.engine import DATABASE_UNAVAILABLE
from service.monitoring.definitions import CounterDefinition, GaugeDefinition, HistogramDefinition
from service.monitoring.registry import render
from service.operations.statistics import DURATION_BUCKETS, Statistics

log = logging.getLogger(__name__)
router = APIRouter(tags=["health"])
_STATUS = ("status",)
DATABASE_UP = GaugeDefinition("espalier_database_up", "Whether the database answers; else what comes from it is absent")
JOBS = GaugeDefinition("espalier_jobs", "Jobs that are stored, by state", _STATUS)
EXPORT_JOBS = GaugeDefinition("espalier_export_jobs", "Stored jobs that export or evaluate the mask of another", _STATUS)
OLDEST_QUEUED = GaugeDefinition("espalier_oldest_queued_seconds", "How long the longest waiting job could have run")
WORKERS = GaugeDefinition("espalier_workers", "Workers with a recent heartbeat")
SLOTS = GaugeDefinition("espalier_worker_slots", "Jobs that these workers run at a time")
PENDING = GaugeDefinition("espalier_webhook_messages_pending", "Webhook messages pending")
FAILED = GaugeDefinition("espalier_webhook_messages_failed", "Webhook messages given up in the last 30 days")
STORED = GaugeDefinition("espalier_stored_bytes", "Bytes that quotas count, by what they belong to", ("kind",))
RUNS = CounterDefinition("espalier_runs_total", "Runs begun of the jobs that are stored")
RUNS_FAILED = CounterDefinition("espalier_runs_failed_total", "Runs lost, or failed for an outside reason")
LEASE_EXPIRIES = CounterDefinition("espalier_lease_expiries_total", "Runs lost with their worker")
RUN_SECONDS = CounterDefinition("espalier_run_seconds_total", "Total time of all runs")
GPU_SECONDS = CounterDefinition("espalier_gpu_seconds_total", "Total time of all runs on GPUs, times their number")
JOB_DURATION = HistogramDefinition(
    "espalier_job_duration_seconds", "Time from submission to the end, of jobs that prune", _STATUS, buckets=DURATION_BUCKETS
)
FROM_DATABASE = (
    *(DATABASE_UP, JOBS, EXPORT_JOBS, OLDEST_QUEUED, WORKERS, SLOTS, PENDING, FAILED, STORED),
    *(RUNS, RUNS_FAILED, LEASE_EXPIRIES, RUN_SECONDS, GPU_SECONDS, JOB_DURATION),
)
UNCOUNTED = CounterDefinition(
    "espalier_requests_uncounted_total",
    "Requests that this API process let pass without counting them, while Redis was unreachable",
)
STREAMS = GaugeDefinition("espalier_http_streams", "Event streams that this API process keeps open")
WAITS = GaugeDefinition("espalier_http_waits", "Requests with Prefer: wait that this API process keeps waiting")
OF_PROCESS = (UNCOUNTED, STREAMS, WAITS)


@router.get(
    "/metrics",
    operation_id="metrics",
    response_class=Response,
    responses=problem_responses()
    | {200: {"content": {form: {"schema": {"type": "string"}} for form in ("text/plain", "application/openmetrics-text")}}},
    summary="Metrics for Prometheus",
)
def metrics(services: ServicesDep, _: MetricsReader, request: Request) -> Response:
    """Queue, runs, workers and durations of the whole service, latencies of this process; no label names a job.

    In the OpenMetrics format, which has exemplars, for those who accept it.
    """
    parts = (_DatabaseCollector(services), _ProcessCollector(services), services.registry)
    content, media_type = render(parts, request.headers.get("accept", ""))
    return Response(content, media_type=media_type, headers={"Vary": "Accept"})


@dataclass(eq=False)
class _ProcessCollector(Collector):
    """What the API process that answers has counted by itself."""

    services: Services

    def collect(self) -> Iterator[Metric]:
        yield UNCOUNTED.family([((), self.services.token_buckets.uncounted)])
        yield STREAMS.family([((), self.services.stream_slots.held)])
        yield WAITS.family([((), self.services.wait_slots.held)])


@dataclass(eq=False)
class _DatabaseCollector(Collector):
    """Statistics of the whole service. While the database is unreachable the numbers of the process are worth the more."""

    services: Services

    def collect(self) -> Iterator[Metric]:
        try:
            found = self.services.statistics.read()
        except DATABASE_UNAVAILABLE as error:
            log.error("the database is not available for /metrics: %s", error)
            yield DATABASE_UP.family([((), 0)])
            return
        yield DATABASE_UP.family([((), 1)])
        yield from _families(found)


def _families(found: Statistics) -> Iterator[Metric]:
    yield JOBS.family(((status,), count) for status, count in found.jobs.items())
    yield EXPORT_JOBS.family(((status,), count) for status, count in found.exporting.items())
    yield OLDEST_QUEUED.family([((), found.oldest_queued_seconds)])
    yield WORKERS.family([((), found.workers)])
    yield SLOTS.family([((), found.slots)])
    yield PENDING.family([((), found.messages_pending)])
    yield FAILED.family([((), found.messages_failed)])
    yield STORED.family(((kind,), size) for kind, size in found.stored_bytes.items())
    yield RUNS.family([((), found.attempts)])
    yield RUNS_FAILED.family([((), found.attempts_failed)])
    yield LEASE_EXPIRIES.family([((), found.lease_expiries)])
    yield RUN_SECONDS.family([((), found.run_seconds)])
    yield GPU_SECONDS.family([((), found.gpu_seconds)])
    yield JOB_DURATION.family(((status,), took.buckets, took.count, took.total) for status, took in found.durations.items())
