"""Authentication and scopes: first of every route of the application, then the states of keys."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from api.app import create_app
from service.access import api_keys
from service.access.api_keys import Scope
from service.db import migrate
from service.db.clock import now_sql
from service.db.engine import Database
from service.db.models import ApiKey
from service.settings import Settings
from tests.api.conftest import BODY, Jobs
from tests.api.problems import assert_problem
from tests.api.protected_app import Keyring, ProtectedApp

OPEN = {"livez", "readyz", "listTasks", "listMethods"}
"""Operations without a key."""
NEED_ADMIN = {"metrics"}
READ_BY_POST = {"predict"}
READ, WRITE, ADMIN = Scope.READ, Scope.WRITE, Scope.ADMIN


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProtectedApp]:
    """One application for all questions that change nothing of others."""
    folder = tmp_path_factory.mktemp("guarded")
    settings = Settings(data_dir=folder, require_keys=True, requests_per_minute=None)
    migrate.upgrade(settings.database_url)
    database = Database(settings.database_url)
    with TestClient(create_app(settings)) as client:
        yield ProtectedApp(client, Keyring(database), Jobs(database, folder))
    database.dispose()


def test_every_route_requires_a_key(guarded: ProtectedApp) -> None:
    unguarded = set()
    for method, path, operation in guarded.operations():
        answer = guarded.client.request(method, path, content=b"{", headers={"Content-Type": "application/json"})
        if answer.status_code != 401:
            unguarded.add(operation["operationId"])
            continue
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="espalier"'
        if method != "HEAD":
            assert_problem(answer, 401, "key_missing")
    assert unguarded == OPEN
    for path in ("/openapi.json", "/docs"):
        assert guarded.client.get(path).status_code == 200


def test_every_route_requires_its_scope(guarded: ProtectedApp) -> None:
    for method, path, operation in guarded.operations():
        name = operation["operationId"]
        if name in OPEN:
            continue
        reads = method in ("GET", "HEAD") or name in READ_BY_POST
        needed = ADMIN if name in NEED_ADMIN else READ if reads else WRITE
        lacking = [scope for scope in (READ, WRITE) if scope is not needed]
        answer = guarded.request(method, path, guarded.keys.header_of("a", *lacking))
        assert answer.status_code == 403, name
        assert f'error="insufficient_scope", scope="{needed}"' in answer.headers["WWW-Authenticate"], name
        if method != "HEAD":
            assert needed in assert_problem(answer, 403, "scope_missing")["detail"]


def test_every_route_hides_what_belongs_to_others(guarded: ProtectedApp) -> None:
    for method, path, operation in guarded.operations():
        if "{" not in path:
            continue
        answer = guarded.request(method, path, guarded.keys.header_of("b"))
        assert answer.status_code == 404, operation["operationId"]
        if method != "HEAD":
            problem = answer.json()
            assert problem["code"].endswith("not_found")
            assert "other" not in problem["detail"]
        if method in ("GET", "HEAD"):
            for seeing in (guarded.keys.header_of("a", READ), guarded.keys.header_of("c", ADMIN)):
                there = guarded.request(method, path, seeing).status_code  # else the 404 above would say nothing
                assert there < 500, operation["operationId"]
                assert there not in (401, 403, 404), operation["operationId"]


def test_every_route_declares_its_refusals(guarded: ProtectedApp) -> None:
    document = guarded.client.get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["ApiKey"]["scheme"] == "bearer"
    for _, _, operation in guarded.operations():
        declared = {"401", "403", "429"} & operation["responses"].keys()
        expected = set() if operation["operationId"] in OPEN else {"401", "403", "429"}
        assert declared == expected, operation["operationId"]
        assert operation.get("security") == ([{"ApiKey": []}] if expected else None)


def test_lists_hold_the_callers_own(guarded: ProtectedApp) -> None:
    mine, theirs = guarded.job(guarded.jobs.queued), guarded.jobs.queued()

    def seen(owner: str, *scopes: Scope) -> set[str]:
        answer = guarded.client.get("/v1/jobs", params={"limit": 100}, headers=guarded.keys.header_of(owner, *scopes))
        return {job["id"] for job in answer.json()["data"]}

    assert mine in seen("a")
    assert theirs not in seen("a")
    assert seen("unknown") == set()
    assert seen("root", ADMIN) >= {mine, theirs}


def test_a_job_belongs_to_who_submits_it_and_so_does_its_retry(guarded: ProtectedApp) -> None:
    client = guarded.client
    job = client.post("/v1/jobs", json=BODY, headers=guarded.keys.header_of("a")).json()
    client.post(f"/v1/jobs/{job['id']}/cancel", headers=guarded.keys.header_of("a"))
    again = client.post(f"/v1/jobs/{job['id']}/retry", headers=guarded.keys.header_of("root", ADMIN)).json()
    assert (job["owner"], again["owner"], again["retried_from"]) == ("a", "a", job["id"])


@pytest.mark.parametrize("sent", ["Basic YTpi", "Bearer", "Bearer ", "esp_0"])
def test_malformed_authorization_headers(guarded: ProtectedApp, sent: str) -> None:
    assert_problem(guarded.client.get("/v1/jobs", headers={"Authorization": sent}), 401, "key_missing")


def test_invalid_keys(guarded: ProtectedApp) -> None:
    def refused(key: str) -> str:
        answer = guarded.client.get("/v1/jobs", headers={"Authorization": f"Bearer {key}"})
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
        assert key not in answer.text
        return str(answer.json()["code"])

    database = guarded.jobs.database
    with database.write() as session:
        (old, old_key), (gone, gone_key) = (api_keys.create(session, name=name) for name in ("old", "gone"))
        api_keys.revoke(session, gone.id)
        session.execute(update(ApiKey).where(ApiKey.id == old.id).values(expires_at=now_sql(-1)))
    assert refused(old_key) == "key_expired"
    assert refused(gone_key) == "key_revoked"
    assert refused("esp_" + "0" * 38) == refused("hf_someothertoken") == "key_unknown"


def test_use_of_a_key_is_recorded(guarded: ProtectedApp) -> None:
    with guarded.jobs.database.write() as session:
        row, key = api_keys.create(session, name="used")
    assert row.last_used_at is None
    guarded.client.get("/v1/jobs", headers={"Authorization": f"bearer {key}"})
    with guarded.jobs.database.read() as session:
        assert session.get_one(ApiKey, row.id).last_used_at is not None


def test_metrics_can_be_opened(guarded: ProtectedApp) -> None:
    settings: Settings = guarded.client.app.state.services.settings  # type: ignore[attr-defined]
    assert guarded.client.get("/metrics", headers=guarded.keys.header_of("root", ADMIN)).status_code == 200
    with TestClient(create_app(settings.model_copy(update={"metrics_open": True}))) as client:
        assert client.get("/metrics").status_code == 200
        assert client.get("/v1/jobs").status_code == 401


@pytest.mark.parametrize(
    ("host", "require_keys", "required"),
    [
        ("127.0.0.1", None, False),
        ("::1", None, False),
        ("localhost", None, False),
        ("0.0.0.0", None, True),
        ("::", None, True),
        ("192.0.2.1", None, True),
        ("127.0.0.1", True, True),
        ("0.0.0.0", False, False),
    ],
)
def test_when_keys_are_required(host: str, require_keys: bool | None, required: bool) -> None:
    assert Settings(host=host, require_keys=require_keys).keys_required is required
