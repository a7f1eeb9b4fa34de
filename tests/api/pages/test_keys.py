"""Page of the API keys: shown once, revoked with its sessions, refusals, and for administrators alone."""

import re

import pytest
from fastapi import FastAPI

from service.access import api_keys
from service.access.api_keys import Scope
from service.db.engine import Database
from tests.api.pages.browser_client import MARKUP, Browser, texts
from tests.api.pages.test_access import assert_led_to_signin, signed_in
from tests.api.protected_app import Keyring

KEY = re.compile(r"esp_[0-9A-Za-z]{38}")


def newest(database: Database) -> tuple[str, str, list[str]]:
    with database.read() as session:
        row = api_keys.list_keys(session)[0]
        return row.id, row.owner, row.scopes.split()


def test_a_key_is_shown_once_and_works_until_it_is_revoked(protected: FastAPI, keys: Keyring, database: Database) -> None:
    admin = signed_in(protected, keys, "root", Scope.ADMIN)
    assert 'href="/keys"' in admin.get("/").text
    made = admin.send("/keys", "/keys", name="ci", owner="team-a", scope=["jobs:read"], expires_days="90")
    assert (made.status_code, made.headers["Cache-Control"]) == (200, "no-store")
    (key,) = set(KEY.findall(made.text))
    assert newest(database)[1:] == ("team-a", ["jobs:read"])
    page = admin.get("/keys")
    assert not KEY.search(page.text)
    assert "ci" in texts(page)
    assert "in 90 d" in texts(page)
    holder = Browser(protected)
    assert holder.sign_in(key).status_code == 303
    assert holder.get("/").status_code == 200
    revoked = admin.send(f"/keys/{newest(database)[0]}/revoke", "/keys")
    assert (revoked.status_code, revoked.headers["Location"]) == (303, "/keys")
    assert "revoked now" in texts(admin.get("/keys"))
    assert_led_to_signin(holder.get("/"))


def test_the_key_of_the_session_is_marked_and_ends_it(protected: FastAPI, keys: Keyring, database: Database) -> None:
    admin = signed_in(protected, keys, "root", Scope.ADMIN)
    assert "this session" in texts(admin.get("/keys"))
    admin.send(f"/keys/{newest(database)[0]}/revoke", "/keys")
    assert "key_revoked" in admin.get("/keys").headers["Location"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"owner": "a b"}, "owner"),
        ({"name": ""}, "name"),
        ({"scope": []}, "scopes"),
        ({"scope": ["root"]}, "root"),
        ({"expires_days": "soon"}, "days"),
        ({"expires_days": "nan"}, "days"),
        ({"expires_days": "-1"}, "days"),
        ({"expires_days": "1e300"}, "days"),
        ({"name": "a\x00b"}, "name"),
    ],
)
def test_faults_are_shown_next_to_the_form(browser: Browser, change: dict[str, object], word: str) -> None:
    given = {"name": "x", "owner": "local", "scope": ["jobs:read"], "expires_days": "", **change}
    refused = browser.send("/keys", "/keys", **given)
    assert refused.status_code == 422
    assert word in texts(refused)
    assert not KEY.search(refused.text)
    assert "No keys yet" in texts(refused)


def test_markup_stays_text(browser: Browser) -> None:
    page = browser.send("/keys", "/keys", name=MARKUP, owner="local", scope=["jobs:read"])
    assert page.status_code == 200
    for seen in (page, browser.get("/keys"), browser.send("/keys", "/keys", name=MARKUP, owner=MARKUP)):
        assert "<script>alert" not in seen.text
        assert "<img src=x" not in seen.text


def test_a_key_that_is_not_there(browser: Browser) -> None:
    for key_id in ("key_0", "job_0", "x"):
        assert browser.send(f"/keys/{key_id}/revoke", "/keys").status_code == 404


def test_for_administrators_alone(protected: FastAPI, keys: Keyring, database: Database) -> None:
    other = signed_in(protected, keys, "a", Scope.READ, Scope.WRITE)
    before = newest(database)
    assert 'href="/keys"' not in other.get("/").text
    assert other.get("/keys").status_code == 403
    assert other.send("/keys", "/", name="x", owner="a", scope=["admin"]).status_code == 403
    assert other.send(f"/keys/{before[0]}/revoke", "/").status_code == 403
    assert newest(database) == before
    assert other.get("/").status_code == 200


def test_nothing_happens_without_the_token(browser: Browser, database: Database) -> None:
    browser.get("/keys")
    assert browser.post("/keys", name="x", owner="a", scope=["admin"]).status_code == 403
    with database.read() as session:
        assert not api_keys.list_keys(session)
