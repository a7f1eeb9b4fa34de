"""Metrics of the connection pools are those of the pools."""

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import text

from service.db.engine import Database
from service.monitoring.registry import process_registry


@pytest.fixture
def registry(database: Database) -> CollectorRegistry:
    return process_registry("test", "1", database)


def test_connections_in_use_are_counted(database: Database, registry: CollectorRegistry) -> None:
    def value(name: str, pool: str = "transactions") -> float | None:
        return registry.get_sample_value(f"espalier_db_pool_{name}", {"pool": pool})

    assert (value("size"), value("limit"), value("checked_out")) == (10, 30, 0)
    with database.read() as session:
        session.execute(text("SELECT 1"))
        assert (value("checked_out"), value("overflow")) == (1, 0)
    assert (value("checked_out"), value("wait_seconds_count")) == (0, 1)
    has_single_reads = database.engine.dialect.name == "postgresql"
    with database.read_connection() as connection:
        connection.execute(text("SELECT 1"))
        assert value("checked_out", "single_reads") == (1 if has_single_reads else None)


def test_waits_are_counted_after_the_pool_was_recreated(database: Database, registry: CollectorRegistry) -> None:
    database.dispose()
    with database.read() as session:
        session.execute(text("SELECT 1"))
    assert registry.get_sample_value("espalier_db_pool_wait_seconds_count", {"pool": "transactions"}) == 1
