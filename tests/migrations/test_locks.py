"""Statements of every migration on PostgreSQL, none of which may stop a running service for longer than the catalog takes."""

import ast
import io
import re
from collections.abc import Iterator

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from tests.migrations.test_migrations import ROOT

_LONG = {
    r"CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY).* ON (\w+)": "migrations.online.create_index builds it while rows are written",
    r"DROP INDEX (?!CONCURRENTLY)()": "migrations.online.drop_index queues behind no waiting lock",
    r"ALTER TABLE (\w+) ADD (?:CONSTRAINT \w+ )?(?:FOREIGN KEY|CHECK)(?!.*NOT VALID)": "extend_table validates it later",
    r"ALTER TABLE (\w+) ADD (?:CONSTRAINT \w+ )?(?:UNIQUE|PRIMARY KEY|EXCLUDE)(?!.* USING INDEX)": "it builds an index",
    r"ALTER TABLE (\w+) ALTER COLUMN \w+ (?:TYPE|SET NOT NULL)": "it reads or writes every row: add a column, or a check",
    r"ALTER TABLE (\w+) ADD COLUMN .*DEFAULT (?!(?:'[^']*'|-?[\d.]+|true|false)(?: |$))": "a default that differs by row is "
    "written into every row; take a constant",
    r"(?:UPDATE|DELETE FROM) (?!alembic_version)(\w+)": "migrations.online.update_in_batches changes rows a few at a time",
}
"""Statements that hold a lock for as long as the table is large, the table as a group, and what to do instead."""


def config(output: io.StringIO | None = None) -> Config:
    made = Config(output_buffer=output)
    made.set_main_option("script_location", str(ROOT / "migrations"))
    made.set_main_option("path_separator", "os")
    return made


def revisions() -> list[tuple[str, str]]:
    """Every step, from and to."""
    steps = ScriptDirectory.from_config(config()).walk_revisions()
    return [(str(step.down_revision or "base"), step.revision) for step in reversed(list(steps))]


def statements(step: tuple[str, str]) -> Iterator[str]:
    """What the step executes, each statement in one line; a block of PL/pgSQL stays one."""
    output = io.StringIO()
    command.upgrade(config(output), ":".join(step), sql=True)
    for statement in re.split(r";\n\n", output.getvalue()):
        yield " ".join(re.sub(r"^--.*$", "", statement, flags=re.MULTILINE).split())


def long_locks(found: list[str]) -> list[str]:
    """Those of the statements that lock a table which they did not make themselves."""
    new = {name for statement in found for name in re.findall(r"^CREATE TABLE (\w+)", statement)}
    return [
        f"{statement}: {remedy}"
        for statement in found
        for pattern, remedy in _LONG.items()
        if (match := re.match(pattern, statement)) and match[1] not in new
    ]


@pytest.mark.parametrize("step", revisions(), ids=lambda step: step[1])
def test_no_migration_locks_a_table_that_exists_for_long(step: tuple[str, str]) -> None:
    found = list(statements(step))
    assert any(statement.startswith("UPDATE alembic_version") or "INSERT INTO alembic" in statement for statement in found)
    assert long_locks(found) == []


def operations(revision: str) -> set[str]:
    """Names of Alembic's operations that a migration calls outside of its downgrade."""
    (file,) = (ROOT / "migrations" / "versions").glob(f"{revision}_*.py")
    functions = [node for node in ast.parse(file.read_text("utf-8")).body if not _is_downgrade(node)]
    attributes = [node for function in functions for node in ast.walk(function) if isinstance(node, ast.Attribute)]
    return {node.attr for node in attributes if isinstance(node.value, ast.Name) and node.value.id == "op"}


def _is_downgrade(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name == "downgrade"


@pytest.mark.parametrize("revision", [to for _, to in revisions() if to > "0013"])
def test_tables_that_exist_are_changed_through_the_helpers_alone(revision: str) -> None:
    """``migrations.online`` bears being repeated and asks for a table with a limit; Alembic's own operations do neither."""
    assert operations(revision) <= {"f", "create_table", "create_index", "execute", "get_context", "get_bind"}


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE INDEX ix ON jobs (a)",
        "CREATE UNIQUE INDEX ix ON jobs (a)",
        "DROP INDEX ix",
        "ALTER TABLE jobs ADD CONSTRAINT fk FOREIGN KEY(a) REFERENCES sweeps (id)",
        "ALTER TABLE jobs ADD CONSTRAINT ck CHECK (a > 0)",
        "ALTER TABLE jobs ADD CONSTRAINT uq UNIQUE (a)",
        "ALTER TABLE jobs ALTER COLUMN a SET NOT NULL",
        "ALTER TABLE jobs ALTER COLUMN a TYPE BIGINT",
        "ALTER TABLE jobs ADD COLUMN a TIMESTAMP DEFAULT clock_timestamp()",
        "UPDATE jobs SET a = 1",
    ],
)
def test_statements_that_lock_for_long_are_known(statement: str) -> None:
    assert len(long_locks([statement])) == 1
    assert long_locks(["CREATE TABLE jobs (a INT)", statement]) == [] or statement.startswith("DROP INDEX")


def test_statements_that_do_not_lock_are_allowed() -> None:
    allowed = [
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS ix ON jobs (a)",
        "DROP INDEX CONCURRENTLY IF EXISTS ix",
        "ALTER TABLE jobs ADD CONSTRAINT ck CHECK (a > 0) NOT VALID",
        "ALTER TABLE jobs ADD COLUMN a VARCHAR(64) DEFAULT 'local' NOT NULL",
        "ALTER TABLE jobs ADD COLUMN a INTEGER DEFAULT 1 NOT NULL",
        "ALTER TABLE jobs VALIDATE CONSTRAINT ck",
    ]
    assert long_locks(allowed) == []
