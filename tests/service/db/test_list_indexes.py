"""Query plans of every list: a page must be one range of an index."""

import random
from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest
from sqlalchemy import event, insert, text

from service.db.engine import Database
from service.db.models import Job
from service.ids import new_job_id
from service.jobs import queries
from service.states import JobKind, Status
from tests.service import factories

_COUNT = 2000
_ONE_IN = 20
"""Jobs of the owner, and of each value, that is asked for."""
_VALUES: dict[str, Any] = {"status": Status.QUEUED, "task": "sst2", "model": "acme/tiny", "method": "smp-s"}
_OF_FEW = ("sort", "seqscan", "bitmapscan")
"""Of a few jobs that is quicker than to read them in order; of very many it is not."""
_OWNERS: tuple[dict[str, str], ...] = ({}, {"owner": "o0"})


@pytest.fixture
def many(database: Database) -> Database:
    """Jobs of all kinds, mixed."""
    dice = random.Random(1)
    ids = [new_job_id() for _ in range(_COUNT)]
    rows: list[dict[str, Any]] = [
        {
            "id": job_id,
            "owner": f"o{dice.randrange(_ONE_IN)}",
            "status": Status.PAUSED if dice.randrange(_ONE_IN) else Status.QUEUED,
            "spec": {field: f"{factories.SPEC[field]}{dice.randrange(_ONE_IN) or ''}" for field in ("task", "model", "method")},
            "exports": [],
            "evaluation": {"split": "test"} if dice.randrange(2) else None,
            "export_of": ids[0] if dice.randrange(2) and job_id != ids[0] else None,
        }
        for job_id in ids
    ]
    with database.write() as session:
        session.execute(insert(Job), rows)
        if database.engine.dialect.name == "postgresql":
            session.execute(text("ANALYZE jobs"))
    return database


def plan(database: Database, without: Sequence[str] = (), **filters: Any) -> str:
    """What the database does for a page; ``without``: what PostgreSQL should not think of."""
    sqlite = database.engine.dialect.name == "sqlite"
    asked: list[tuple[str, Any]] = []

    def keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    with database.read() as session:
        connection = session.connection()
        for way in () if sqlite else without:
            session.execute(text(f"SET LOCAL enable_{way} = off"))
        event.listen(connection, "before_cursor_execute", keep)
        queries.page(session, limit=20, **filters)
        event.remove(connection, "before_cursor_execute", keep)
        statement, parameters = asked[-1]
        explain = "EXPLAIN QUERY PLAN" if sqlite else "EXPLAIN"
        return "\n".join(str(row[-1]) for row in connection.exec_driver_sql(f"{explain} {statement}", parameters))


def cursor(database: Database) -> str:
    """Somewhere in the middle."""
    with database.read() as session:
        after = queries.page(session, limit=100)[1]
    assert after is not None
    return after


def is_one_piece(found: str, index: str) -> bool:
    """Whether only rows of the page are read, in order: no other table scan, nothing sorted, nothing thrown away."""
    unwanted = ("Sort", "Seq Scan", "Bitmap", "Filter", "TEMP B-TREE")
    return f"{index} " in f"{found} ".replace("\n", " ") and not any(word in found for word in unwanted)


def test_a_page_is_one_range_of_an_index(many: Database) -> None:
    fields = [{}, *({name: value} for name, value in _VALUES.items())]
    after = cursor(many)
    kinds = [(JobKind.PRUNING, fields), (JobKind.EXPORT, fields[:2]), (JobKind.EVALUATION, fields[:2])]
    for (kind, filters), owner in product(kinds, _OWNERS):
        for field, place in product(filters, ({}, {"after": after})):
            index = f"ix_jobs_{kind}_{'_'.join([*owner, *field, 'created_at', 'id'])}"
            found = plan(many, _OF_FEW, kind=kind, **owner, **field, **place)
            assert is_one_piece(found, index), (owner, field, place, found)


def test_lists_of_a_sweep_or_of_one_masks_exports_use_their_index(many: Database) -> None:
    after = cursor(many)
    for owner, place in product(_OWNERS, ({}, {"after": after})):
        for field in ({}, {"status": Status.SUCCEEDED}, {"model": "acme/tiny", "task": "sst2"}, _VALUES):
            assert "ix_jobs_sweep_id" in plan(many, sweep="swp_0", **owner, **field, **place), (owner, field, place)
    assert "ix_jobs_export_of" in plan(many, kind=JobKind.EXPORT, of="job_0", after=after)


def test_filter_columns_repeat_the_spec(database: Database) -> None:
    custom = factories.queued(database, spec={"model": "acme/big", "task": {"dataset": "d"}})
    plain = factories.queued(database)
    jobs = [factories.load(database, job_id) for job_id in (plain, custom)]
    assert [(job.model, job.task, job.method) for job in jobs] == [("acme/tiny", "sst2", "smp-s"), ("acme/big", None, None)]
