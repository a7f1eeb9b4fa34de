"""Prometheus registry of one process, and the text of a scrape.

Made once per application or worker, not the global registry of prometheus_client: tests have several of both in one process.
"""

import platform
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from service.db.engine import Database
from service.monitoring.database_pool import DatabasePoolCollector
from service.monitoring.definitions import GaugeDefinition

BUILD_INFO = GaugeDefinition("espalier_build_info", "1; the labels are versions", ("component", "version", "python"))


class _ConstantCollector(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = tuple(metrics)

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics


def process_registry(component: str, version: str, database: Database) -> CollectorRegistry:
    """A registry with what all processes have: processor time, memory, versions, the pools of ``database``."""
    # a series with the start of each other one, which no query here reads; the package has left the function without types
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_ConstantCollector([BUILD_INFO.family([((component, version, platform.python_version()), 1)])]))
    DatabasePoolCollector(database, registry)
    return registry


class _SeveralRegistries(Collector):
    def __init__(self, parts: Iterable[Collector]) -> None:
        self._parts = tuple(parts)

    def collect(self) -> Iterator[Metric]:
        for part in self._parts:
            yield from part.collect()


def render(parts: Iterable[Collector], accept: str) -> tuple[bytes, str]:
    """Text of the metrics of ``parts`` and its media type: OpenMetrics if ``accept`` prefers it, else Prometheus's older format."""
    encode, media_type = choose_encoder(accept)
    return encode(_SeveralRegistries(parts)), media_type
