"""Rows that an older version of the service inserted turn up in filtered lists."""

from typing import Any

from sqlalchemy import update

from service.db.engine import Database
from service.db.models import Job
from service.jobs import list_columns, queries
from tests.service import factories


def test_rows_of_an_older_version_are_filled(database: Database) -> None:
    old = [factories.queued(database) for _ in range(2)]
    custom = factories.queued(database, spec={**factories.SPEC, "task": {"dataset": "d"}})
    new, without = factories.queued(database), factories.queued(database, spec={"model": "acme/tiny"})
    with database.write() as session:
        names = dict.fromkeys(("model", "task", "method"))
        session.execute(update(Job).where(Job.id.in_([*old, custom])).values(**names))

    def listed(**wanted: Any) -> set[str]:
        with database.read() as session:
            return set(queries.page(session, limit=10, **wanted)[0])

    assert listed(method="smp-s") == {new}
    with database.write() as session:
        assert list_columns.fill_list_columns(session) == 3
    with database.write() as session:
        assert list_columns.fill_list_columns(session) == 0
    assert listed(method="smp-s") == {*old, custom, new}
    assert listed(task="sst2") == {*old, new}
    assert listed(model="acme/tiny") == {*old, custom, new, without}
