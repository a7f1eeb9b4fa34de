"""Metrics of the database's connection pools: their sizes and use, and how long their users waited.

Registered by ``service.monitoring.registry`` in API and worker alike.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from service.db.engine import MAX_OVERFLOW, Database
from service.monitoring.definitions import GaugeDefinition, HistogramDefinition

_POOL = ("pool",)
SIZE = GaugeDefinition("espalier_db_pool_size", "Connections that a pool keeps; overflow comes on top", _POOL)
CHECKED_OUT = GaugeDefinition("espalier_db_pool_checked_out", "Connections in use", _POOL)
OVERFLOW = GaugeDefinition("espalier_db_pool_overflow", "Connections open beyond the size of the pool", _POOL)
LIMIT = GaugeDefinition("espalier_db_pool_limit", "Most connections of a pool; further requests wait", _POOL)
WAIT_SECONDS = HistogramDefinition(
    "espalier_db_pool_wait_seconds",
    "From asking for a connection until there was one, which may have had to be made, or none in time",
    _POOL,
    buckets=(0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 30.0),
)
DEFINITIONS = (SIZE, CHECKED_OUT, OVERFLOW, LIMIT, WAIT_SECONDS)


class DatabasePoolCollector(Collector):
    """The pools of one ``Database``; observes their waits from now on."""

    def __init__(self, database: Database, registry: CollectorRegistry) -> None:
        self._database = database
        waits = WAIT_SECONDS.create(registry)
        for name, pool in database.pools().items():
            pool.on_wait = waits.labels(name).observe
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Their state at this moment."""
        pools = {(name,): pool for name, pool in self._database.pools().items()}
        yield SIZE.family((labels, pool.size()) for labels, pool in pools.items())
        yield CHECKED_OUT.family((labels, pool.checkedout()) for labels, pool in pools.items())
        yield OVERFLOW.family((labels, max(0, pool.overflow())) for labels, pool in pools.items())
        yield LIMIT.family((labels, pool.size() + MAX_OVERFLOW) for labels, pool in pools.items())
