"""Parameters of connections to PostgreSQL: what a URL says itself is kept, and a pooler in transaction mode is served."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from service.db.engine import Database
from service.db.migrate import is_current, upgrade
from tests.service import factories

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
SHOWN = ("search_path", "idle_in_transaction_session_timeout", "statement_timeout", "application_name")


def with_parameters(url: str, **parameters: str) -> str:
    return make_url(url).update_query_dict(parameters).render_as_string(hide_password=False)


def shown(url: str, *, single: bool = False) -> dict[str, str]:
    """Settings as the server has them on a connection for transactions, or for single reads."""
    database = Database(url)
    try:
        with database.read_connection() if single else database.engine.connect() as connection:
            return {name: connection.execute(text(f"SHOW {name}")).scalar_one() for name in SHOWN}
    finally:
        database.dispose()


@pytest.mark.parametrize("single", [False, True], ids=["transactions", "single reads"])
def test_options_of_the_url_are_merged_with_ours(database_url: str, single: bool) -> None:
    plain = shown(database_url, single=single)
    found = shown(with_parameters(database_url, options="-csearch_path=espalier"), single=single)
    assert found == {**plain, "search_path": "espalier"}
    assert plain["idle_in_transaction_session_timeout"] == "30s"
    assert plain["statement_timeout"] == ("2s" if single else "0")


def test_the_url_wins_over_our_own_parameters(database_url: str) -> None:
    options = "-c idle_in_transaction_session_timeout=7s"
    found = shown(with_parameters(database_url, options=options, application_name="fleet"))
    assert (found["idle_in_transaction_session_timeout"], found["application_name"]) == ("7s", "fleet")


def test_tables_are_made_in_the_schema_that_the_url_names(database: Database) -> None:
    with database.write() as session:
        session.execute(text("CREATE SCHEMA other"))
    url = with_parameters(database.url, options="-csearch_path=other")
    try:
        upgrade(url)
        with database.read() as session:
            found = session.execute(text("SELECT schemaname FROM pg_tables WHERE tablename = 'jobs'")).scalars()
            assert set(found) == {"public", "other"}
        there = Database(url)
        assert is_current(there)
        there.dispose()
    finally:
        with database.write() as session:
            session.execute(text("DROP SCHEMA other CASCADE"))


def test_a_pooler_is_served(database: Database, pooled_url: str) -> None:
    """More threads than the pooler has connections, each with the same statements: prepared ones would meet each other."""
    pooled = Database(with_parameters(pooled_url, pooler="transaction"))

    def one(_: int) -> str:
        job = factories.queued(pooled)
        with pooled.read_connection() as connection:
            assert connection.execute(text("SELECT id FROM jobs WHERE id = :id"), {"id": job}).scalar_one() == job
        return job

    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(one, range(64)))
    with pooled.write() as session:
        timeout = session.execute(text("SHOW idle_in_transaction_session_timeout")).scalar_one()
    with database.read() as session:
        assert set(session.execute(text("SELECT id FROM jobs")).scalars()) == made
        assert session.execute(text("SELECT count(*) FROM pg_prepared_statements")).scalar_one() == 0
    assert timeout == "30s"
    pooled.dispose()


def test_without_the_parameter_a_pooler_refuses_the_connection(pooled_url: str) -> None:
    database = Database(pooled_url)
    with pytest.raises(OperationalError, match="unsupported startup parameter"), database.engine.connect():
        pass
    database.dispose()
