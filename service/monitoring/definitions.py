"""Definitions of Prometheus metrics: name, type, labels and meaning, from which instruments and the reference page are made.

Every label takes a bounded set of values: a label that a client can choose (a path, an id, a name) would make a time series
for each value, in the process and in Prometheus alike.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds of what a client waits for."""
DURATION_BUCKETS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 12 * 3600.0, 24 * 3600.0)
"""Upper bounds in seconds of what takes from moments to a day."""


@dataclass(frozen=True)
class MetricDefinition:
    """What there is to know of a metric."""

    name: str
    """As queries have it, with ``_total`` for a counter."""
    help: str
    labels: tuple[str, ...] = ()
    kind: ClassVar[str]
    """Prometheus's word for its type."""


@dataclass(frozen=True)
class CounterDefinition(MetricDefinition):
    """A number that only grows, until its process ends."""

    kind = "counter"

    def create(self, registry: CollectorRegistry) -> Counter:
        """An instrument that the process counts with."""
        return Counter(self.name, self.help, self.labels, registry=registry)

    def family(self, values: Iterable[tuple[Sequence[str], float]]) -> CounterMetricFamily:
        """The values of one scrape, by their labels."""
        family = CounterMetricFamily(self.name, self.help, labels=self.labels)
        for labels, value in values:
            family.add_metric(labels, value)
        return family


@dataclass(frozen=True)
class GaugeDefinition(MetricDefinition):
    """A number that goes up and down."""

    kind = "gauge"

    def create(self, registry: CollectorRegistry) -> Gauge:
        """An instrument that the process sets."""
        return Gauge(self.name, self.help, self.labels, registry=registry)

    def family(self, values: Iterable[tuple[Sequence[str], float]]) -> GaugeMetricFamily:
        """The values of one scrape, by their labels."""
        family = GaugeMetricFamily(self.name, self.help, labels=self.labels)
        for labels, value in values:
            family.add_metric(labels, value)
        return family


@dataclass(frozen=True)
class HistogramDefinition(MetricDefinition):
    """Counts of observations by upper bounds, with their sum."""

    buckets: tuple[float, ...] = LATENCY_BUCKETS
    kind = "histogram"

    def create(self, registry: CollectorRegistry) -> Histogram:
        """An instrument that the process observes with."""
        return Histogram(self.name, self.help, self.labels, registry=registry, buckets=self.buckets)

    def family(self, values: Iterable[tuple[Sequence[str], Sequence[float], float, float]]) -> HistogramMetricFamily:
        """The values of one scrape: labels, observations up to each bound, all observations, their sum."""
        family = HistogramMetricFamily(self.name, self.help, labels=self.labels)
        for labels, counts, count, total in values:
            bounds = [*zip(map(str, self.buckets), map(float, counts), strict=True), ("+Inf", float(count))]
            family.add_metric(labels, bounds, total)
        return family
