"""Stored responses: one for each owner, route and key, in the transaction of what they describe."""

import threading
from typing import Any

import pytest

from service.access import idempotency
from service.db.engine import Database
from service.errors import IdempotencyKeyReusedError, RequestInProgressError
from service.jobs import commands, queries
from tests.service.factories import SPEC

NAMED: dict[str, Any] = {"owner": "ann", "route": "POST /v1/jobs", "key": "k", "fingerprint": "f" * 64, "keep_seconds": 60.0}


def keep(database: Database, **changes: Any) -> None:
    with database.write() as session:
        idempotency.store(session, **NAMED | changes, status=202, body="{}", location=None)


def found(database: Database, **changes: Any) -> bool:
    with database.read() as session:
        return idempotency.find(session, **NAMED | changes) is not None


def test_a_response_belongs_to_its_owner_route_and_key(database: Database) -> None:
    keep(database)
    assert found(database)
    for change in ({"owner": "ben"}, {"route": "POST /v1/sweeps"}, {"key": "l"}, {"keep_seconds": -1.0}):
        assert not found(database, **change)
    with pytest.raises(IdempotencyKeyReusedError):
        found(database, fingerprint="0" * 64)
    with pytest.raises(RequestInProgressError):
        keep(database)
    keep(database, keep_seconds=-1.0)  # too old to be given again, so the key is free


def test_of_two_concurrent_requests_one_commits_and_the_other_leaves_nothing(database: Database) -> None:
    ready, lost = threading.Barrier(2), list[bool]()

    def submit() -> None:
        ready.wait(10)
        try:
            with database.write() as session:
                commands.create(session, spec=SPEC)
                idempotency.store(session, **NAMED, status=202, body="{}", location=None)
        except RequestInProgressError:
            lost.append(True)

    threads = [threading.Thread(target=submit) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert lost == [True]
    with database.read() as session:
        assert len(queries.page(session, limit=9)[0]) == 1


def test_a_response_is_rolled_back_with_its_transaction(database: Database) -> None:
    with database.write() as session:
        idempotency.store(session, **NAMED, status=202, body="{}", location=None)
        session.rollback()
    assert not found(database)
    keep(database)
