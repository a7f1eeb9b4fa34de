"""Expand and contract: no migration takes away what the release before still uses, nor asks for what that does not give."""

import re

import pytest

from tests.migrations.test_locks import revisions, statements

_UNUSED_SINCE: dict[str, str] = {}
"""Migrations that remove something, with the release since which nothing uses it: that must be the one before at the latest."""
_INCOMPATIBLE = {
    r"DROP TABLE (\w+)": "the release before reads and writes it",
    r"ALTER TABLE (\w+) DROP COLUMN": "the release before reads and writes it",
    r"ALTER TABLE (\w+) RENAME": "the release before knows the former name: add a column, and let the service fill both",
    r"ALTER TABLE (\w+) ALTER COLUMN \w+ (?:TYPE|SET NOT NULL|DROP DEFAULT)": "the release before writes the former values",
    r"ALTER TABLE (\w+) ADD COLUMN (?!.*\bDEFAULT\b).*\bNOT NULL\b": "the release before inserts rows without it: give a default",
    r"ALTER TABLE (\w+) ADD (?:CONSTRAINT \w+ )?UNIQUE": "the release before may insert equal rows",
    r"CREATE UNIQUE INDEX (?:CONCURRENTLY )?(?:IF NOT EXISTS )?\w+ ON (\w+)": "the release before may insert equal rows",
}
"""Statements on tables that exist, the table as a group, and why the release before cannot live with them."""


def incompatible(found: list[str]) -> list[str]:
    new = {name for statement in found for name in re.findall(r"^CREATE TABLE (?:IF NOT EXISTS )?(\w+)", statement)}
    return [
        f"{statement}: {reason}"
        for statement in found
        for pattern, reason in _INCOMPATIBLE.items()
        if (match := re.match(pattern, statement)) and match[1] not in new
    ]


@pytest.mark.parametrize("step", revisions(), ids=lambda step: step[1])
def test_the_release_before_can_use_the_tables(step: tuple[str, str]) -> None:
    found = incompatible(list(statements(step)))
    assert not found or step[1] in _UNUSED_SINCE, f"remove it one release after the last that uses it: {found}"


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE jobs",
        "ALTER TABLE jobs DROP COLUMN a",
        "ALTER TABLE jobs RENAME a TO b",
        "ALTER TABLE jobs RENAME TO tasks",
        "ALTER TABLE jobs ALTER COLUMN a SET NOT NULL",
        "ALTER TABLE jobs ALTER COLUMN a TYPE BIGINT",
        "ALTER TABLE jobs ADD COLUMN a INTEGER NOT NULL",
        "ALTER TABLE jobs ADD COLUMN IF NOT EXISTS a INTEGER NOT NULL",
        "ALTER TABLE jobs ADD CONSTRAINT uq UNIQUE (a)",
        "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS ix ON jobs (a)",
    ],
)
def test_what_the_release_before_cannot_live_with(statement: str) -> None:
    assert len(incompatible([statement])) == 1
    assert incompatible(["CREATE TABLE jobs (a INT)", statement]) == []
    assert incompatible(["ALTER TABLE jobs ADD COLUMN a INTEGER DEFAULT 1 NOT NULL", "ALTER TABLE jobs ADD COLUMN b INTEGER"]) == []
