"""API keys: shown once, found by their digest alone, refused once expired or revoked."""

from datetime import datetime

import pytest
from sqlalchemy import select, update

from service.access import api_keys
from service.access.api_keys import Scope
from service.db.clock import now_sql
from service.db.engine import Database
from service.db.models import ApiKey
from service.errors import InvalidKeyError, KeyNotFoundError


def make(database: Database, **fields: object) -> tuple[ApiKey, str]:
    with database.write() as session:
        return api_keys.create(session, **{"name": "ci", "owner": "team-a", **fields})  # type: ignore[arg-type]


def find(database: Database, key: str) -> api_keys.ValidKey:
    with database.read() as session:
        return api_keys.find(session, key)


def refusal(database: Database, key: str) -> str:
    with pytest.raises(InvalidKeyError) as refused:
        find(database, key)
    return refused.value.code


def test_a_key_is_found_and_not_stored(database: Database) -> None:
    row, key = make(database, scopes=[Scope.READ])
    other_row, other = make(database)
    assert api_keys.is_well_formed(key)
    assert len({key, other}) == len({row.id, other_row.id}) == 2
    found, stale = find(database, key)
    assert (found.id, found.owner, found.scopes, stale) == (row.id, "team-a", "jobs:read", True)
    assert other_row.scopes == "jobs:read jobs:write"
    with database.read() as session:
        stored = [str(value) for values in session.execute(select(ApiKey.__table__)) for value in values]
    secret = key.removeprefix("esp_")
    assert not any(secret in value or secret[:12] in value for value in stored)


def test_malformed_keys_cost_no_query(database: Database) -> None:
    _, key = make(database)
    mistyped = key[:10] + ("A" if key[10] != "A" else "B") + key[11:]
    assert not api_keys.is_well_formed(mistyped)
    assert not any(map(api_keys.is_well_formed, ("", "esp_", key[:-1], key + "0", key.upper(), f" {key}", key + "\n")))
    assert refusal(database, mistyped) == "key_unknown"
    with database.write() as session:
        session.execute(ApiKey.__table__.delete())  # type: ignore[attr-defined]
    assert refusal(database, key) == "key_unknown"


def test_an_expired_key_is_refused(database: Database) -> None:
    row, key = make(database, expires_days=2)
    assert row.expires_at is not None
    assert 1.9 < (row.expires_at - row.created_at).total_seconds() / 86_400 < 2.1
    find(database, key)
    with database.write() as session:
        session.execute(update(ApiKey).values(expires_at=now_sql(-1)))
    assert refusal(database, key) == "key_expired"
    with database.read() as session:
        assert not api_keys.any_usable(session)


def test_a_revoked_key_is_refused_and_stays_listed(database: Database) -> None:
    row, key = make(database)
    kept, _ = make(database, name="kept")
    with database.write() as session:
        revoked_at = api_keys.revoke(session, row.id).revoked_at
    assert refusal(database, key) == "key_revoked"
    with database.write() as session:
        assert api_keys.revoke(session, row.id).revoked_at == revoked_at
        with pytest.raises(KeyNotFoundError):
            api_keys.revoke(session, "key_none")
    with database.read() as session:
        assert [listed.id for listed in api_keys.list_keys(session)] == [kept.id, row.id]
        assert api_keys.any_usable(session)


def test_the_last_use_is_recorded_once_a_minute(database: Database) -> None:
    def used() -> datetime | None:
        with database.write() as session:
            api_keys.record_use(session, row.id)
        return find(database, key)[0].last_used_at

    row, key = make(database)
    first = used()
    assert first is not None
    assert find(database, key)[1] is False
    assert used() == first
    with database.write() as session:
        session.execute(update(ApiKey).values(last_used_at=now_sql(-api_keys.USED_SECONDS - 1)))
    assert find(database, key)[1] is True
    later = used()
    assert later is not None
    assert later >= first


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "fields", [{"owner": ""}, {"owner": "a b"}, {"owner": "x" * 65}, {"name": ""}, {"name": "a\n"}, {"scopes": ()}]
)
def test_bad_names_owners_and_scopes_are_refused(database: Database, fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(fields))):
        make(database, **fields)
