"""The user's key-value pairs of a job, in SQL. Called by ``service.jobs.commands`` to filter lists."""

from typing import Any

from sqlalchemy import ColumnElement, Text, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from service.db.models import Job


class _Value(FunctionElement[str]):
    """Neither form makes a path of the key: it is a value that is bound, so dots and quotes in it mean nothing."""

    type = Text()
    inherit_cache = True
    name = "espalier_label"


def metadata_equals(key: str, value: str) -> ColumnElement[bool]:
    """SQL expression: whether a job's metadata has ``value`` under ``key``."""
    return _Value(Job.user_metadata, literal(key, Text())) == literal(value, Text())


@compiles(_Value, "postgresql")
def _postgresql(element: _Value, compiler: SQLCompiler, **options: Any) -> str:
    document, key = (compiler.process(clause, **options) for clause in element.clauses)
    return f"({document} ->> {key}::text)"


@compiles(_Value, "sqlite")
def _sqlite(element: _Value, compiler: SQLCompiler, **options: Any) -> str:
    document, key = (compiler.process(clause, **options) for clause in element.clauses)
    return f"(SELECT pair.value FROM json_each({document}) AS pair WHERE pair.key = {key})"  # noqa: S608 - bound
