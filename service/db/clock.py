"""The database's clock in SQL: the only clock for decisions, so that a host's wrong clock has no effect.

Times are UTC with microseconds in both databases and timezone-aware in Python.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Double, bindparam
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Float, TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """timestamptz on PostgreSQL; on SQLite text that sorts as time does, ``2026-01-31 09:30:00.250000``."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Raises ValueError for a time without a timezone, which could mean anything."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no timezone")
        return value.astimezone(UTC) if dialect.name == "postgresql" else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class _Now(FunctionElement[datetime]):
    type = UtcDateTime()
    inherit_cache = True
    name = "espalier_now"


def now_sql(seconds: float = 0) -> _Now:
    """SQL expression: the database's time when the statement began, ``seconds`` later (earlier if negative)."""
    return _Now(bindparam(None, float(seconds), type_=Float(), unique=True))


class _Seconds(FunctionElement[float]):
    type = Double()
    inherit_cache = True
    name = "espalier_seconds"


def seconds_sql(since: ColumnElement[datetime]) -> _Seconds:
    """SQL expression: seconds from ``since`` to the database's time."""
    return _Seconds(since)


@compiles(_Seconds, "postgresql")
def _seconds_postgresql(element: _Seconds, compiler: SQLCompiler, **options: Any) -> str:
    since = compiler.process(element.clauses, **options)
    return f"extract(epoch FROM statement_timestamp() - {since})::double precision"


@compiles(_Seconds, "sqlite")
def _seconds_sqlite(element: _Seconds, compiler: SQLCompiler, **options: Any) -> str:
    since = compiler.process(element.clauses, **options)
    return f"((julianday('now') - julianday({since})) * 86400.0)"


@compiles(_Now, "postgresql")
def _postgresql(element: _Now, compiler: SQLCompiler, **options: Any) -> str:
    # not now(): that is when the transaction began, which may be long before it got its row lock
    return f"(statement_timestamp() + make_interval(secs => {compiler.process(element.clauses, **options)}))"


@compiles(_Now, "sqlite")
def _sqlite(element: _Now, compiler: SQLCompiler, **options: Any) -> str:
    # SQLite counts milliseconds; the zeros make the text compare with the six digits that Python writes
    seconds = compiler.process(element.clauses, **options)
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', printf('%+.3f seconds', {seconds})) || '000')"
