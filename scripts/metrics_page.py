"""The page ``docs/reference/metrics.md``: every Prometheus metric of API and worker, from the definitions that the processes use.

Called by :mod:`scripts.generate_docs`.
"""

from collections.abc import Callable, Sequence

from api.middleware import http_metrics
from api.routes import metrics
from service.monitoring import database_pool, registry
from service.monitoring.definitions import MetricDefinition
from worker.monitoring import host_metrics, job_metrics

_TEXT = """# Metrics

What Prometheus reads; how to set it up: [observe](../how-to/observe.md). Every value of a label is one of few: no label names a
job, an owner or a path that a client made up.

Histograms are queried as `…_bucket` (label `le`), `…_sum` and `…_count`. In addition each process has those of the Prometheus
client library: `process_cpu_seconds_total`, `process_resident_memory_bytes` and others.
"""
SECTIONS: dict[str, tuple[str, tuple[MetricDefinition, ...]]] = {
    "From the database": (
        "Of the whole service, and the same from each API process: query the maximum over processes, not the sum. Jobs that were "
        "deleted are no longer counted, so a total can fall, which Prometheus takes for a restart: for rates take those of "
        "workers. How many jobs have ended is up to date; that some were deleted shows within ten minutes.",
        metrics.FROM_DATABASE,
    ),
    "Of an API process": (
        "Counted by each process since its start. `route` is the template of the path, or `other` where there is none; `status` "
        "is `2xx` and so on, or `499` where the client left before the response, as in the log.",
        (*http_metrics.DEFINITIONS, *metrics.OF_PROCESS),
    ),
    "Of a worker": (
        "Counted by each worker since its start, and read from its own port (`ESPALIER_WORKER_METRICS_PORT`). `kind` is pruning, "
        "export or evaluation. `phase` is one of those of [events](events.md), before them `starting`. `outcome` of an attempt is "
        "the state that the job is in afterwards, `retried` where it is tried again, `requeued` where the worker shut down, or "
        "`lost`; `reason` is the [error code](errors.md), `none`, or `other` beyond a hundred codes. Of a message `outcome` is "
        "`delivered`, `retried`, `given_up`, or `gone` where the receiver says so.",
        (*job_metrics.DEFINITIONS, *host_metrics.DEFINITIONS),
    ),
    "Of every process": (
        "`pool` is `transactions` or, on PostgreSQL, also `single_reads`, the connections of the queries that many requests share.",
        (registry.BUILD_INFO, *database_pool.DEFINITIONS),
    ),
}


def metrics_page(table: Callable[[tuple[str, ...], Sequence[tuple[object, ...]]], str]) -> str:
    """The text; ``table`` formats one."""
    parts = [_TEXT]
    for title, (about, definitions) in SECTIONS.items():
        rows = [(f"`{one.name}`", one.kind, ", ".join(f"`{label}`" for label in one.labels), one.help) for one in definitions]
        parts.append(f"## {title}\n\n{about}\n\n{table(('metric', 'type', 'labels', 'what it is'), rows)}")
    return "\n".join(parts)
