"""Prometheus endpoint ``/metrics``. Read from the database at each scrape, so that any API process may answer it but for what
each has counted by itself."""

from collections.abc import Iterator
from dataclasses import dataclass

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from api.errors.problems import problem_responses
from api.request.auth import MetricsReader
from api.request.deps import Services, ServicesDep
from service.operations import statistics
from service.operations.statistics import DURATION_BUCKETS, Statistics

router = APIRouter(tags=["health"])
_MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@router.get(
    "/metrics",
    operation_id="metrics",
    response_class=Response,
    responses=problem_responses() | {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    summary="Numbers for Prometheus",
)
def metrics(services: ServicesDep, _: MetricsReader) -> Response:
    """Queue, runs, workers and durations of the whole service; no label names a job."""
    with services.database.read() as session:
        found = statistics.collect(session, worker_seen_seconds=services.settings.worker_seen_seconds)
    registry = CollectorRegistry()
    registry.register(_StatisticsCollector(found))
    registry.register(_ProcessCollector(services))
    return Response(generate_latest(registry), media_type=_MEDIA_TYPE)


@dataclass(eq=False)
class _ProcessCollector(Collector):
    """What the API process that answers has counted by itself."""

    services: Services

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(
            "espalier_requests_uncounted",
            "Requests that this API process let pass without counting them, for Redis was away",
            self.services.token_buckets.uncounted,
        )


@dataclass(eq=False)
class _StatisticsCollector(Collector):
    found: Statistics

    def collect(self) -> Iterator[Metric]:
        found = self.found
        for name, what, counted in (
            ("espalier_jobs", "Jobs that are stored, by state", found.jobs),
            ("espalier_export_jobs", "Those of them that export or evaluate the mask of another", found.exporting),
        ):
            jobs = GaugeMetricFamily(name, what, labels=["status"])
            for status, count in counted.items():
                jobs.add_metric([status], count)
            yield jobs
        yield GaugeMetricFamily(
            "espalier_oldest_queued_seconds", "How long the longest waiting job could have run", found.oldest_queued_seconds
        )
        yield GaugeMetricFamily("espalier_workers", "Workers heard of lately", found.workers)
        yield GaugeMetricFamily("espalier_worker_slots", "Jobs that these workers run at a time", found.slots)
        yield GaugeMetricFamily("espalier_webhook_messages_pending", "Messages still to be delivered", found.messages_pending)
        yield GaugeMetricFamily("espalier_webhook_messages_failed", "Messages given up in the last 30 days", found.messages_failed)
        yield CounterMetricFamily("espalier_runs", "Runs begun", found.attempts)
        yield CounterMetricFamily("espalier_runs_failed", "Runs lost, or failed for an outside reason", found.attempts_failed)
        yield CounterMetricFamily("espalier_lease_expiries", "Runs lost with their worker", found.lease_expiries)
        yield CounterMetricFamily("espalier_run_seconds", "Time that all runs took", found.run_seconds)
        yield CounterMetricFamily("espalier_gpu_seconds", "The same on GPUs, times their number", found.gpu_seconds)
        durations = HistogramMetricFamily(
            "espalier_job_duration_seconds", "From submission to the end, of jobs that prune", labels=["status"]
        )
        for status, took in found.durations.items():
            bounds = [*zip(map(str, DURATION_BUCKETS), map(float, took.buckets), strict=True), ("+Inf", float(took.count))]
            durations.add_metric([status], bounds, took.total)
        yield durations
