"""Streams and long waits end with their API key."""

import threading
from collections.abc import Callable, Iterator

import httpx
import pytest

from api.app import create_app
from api.responses import long_poll, sse
from service.access import api_keys
from service.db.clock import now_sql
from service.db.engine import Database
from service.db.models.access import ApiKey
from service.settings import Settings
from tests.api.conftest import Jobs
from tests.serving import serving

End = Callable[[str], None]


@pytest.fixture
def url(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(sse, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(long_poll, "POLL_SECONDS", 0.05)
    with serving(create_app(settings.model_copy(update={"require_keys": True}))) as at:
        yield at


@pytest.fixture(params=["revoked", "expired"])
def end(request: pytest.FixtureRequest, database: Database) -> End:
    """Makes a key invalid."""

    def by(key_id: str) -> None:
        with database.write() as session:
            if request.param == "revoked":
                api_keys.revoke(session, key_id)
            else:
                row = session.get(ApiKey, key_id)
                assert row is not None
                row.expires_at = now_sql(-1)

    return by


@pytest.mark.parametrize("headers", [{"Accept": "text/event-stream"}, {"Prefer": "wait=60"}], ids=["stream", "wait"])
def test_a_key_that_ends_takes_its_open_requests_with_it(
    url: str, jobs: Jobs, database: Database, end: End, headers: dict[str, str]
) -> None:
    with database.write() as session:
        row, key = api_keys.create(session, name="test", owner="local", scopes=[api_keys.Scope.READ])
    job = jobs.running()
    path = f"/v1/jobs/{job}/events" if "Accept" in headers else f"/v1/jobs/{job}"
    timer = threading.Timer(0.5, end, [row.id])
    timer.start()
    answer = httpx.get(url + path, headers=headers | {"Authorization": f"Bearer {key}"}, timeout=30)
    timer.join()
    assert jobs.database is not None
    if "Accept" in headers:
        assert "event: end" not in answer.text
    else:
        assert (answer.status_code, answer.json()["code"][:4]) == (401, "key_")
