"""Access to pages: sessions, their end, their cookies, the tokens of forms, and what other sites can do."""

import time
from typing import Any

import pytest
from fastapi import FastAPI

from api.pages import sessions
from service.access import api_keys
from service.access.api_keys import Scope
from service.db.engine import Database
from tests.api.pages.browser_client import Browser, texts
from tests.api.problems import Response, assert_problem
from tests.api.protected_app import Keyring


def key_of(keys: Keyring, owner: str, *scopes: Scope) -> str:
    return keys.header_of(owner, *scopes)["Authorization"].removeprefix("Bearer ")


def signed_in(app: FastAPI, keys: Keyring, owner: str, *scopes: Scope) -> Browser:
    browser = Browser(app)
    answer = browser.sign_in(key_of(keys, owner, *scopes))
    assert answer.status_code == 303
    assert browser.get("/").status_code == 200
    return browser


def assert_led_to_signin(answer: Response) -> None:
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/signin?")


def test_a_key_is_exchanged_for_a_session(protected: FastAPI, keys: Keyring) -> None:
    browser = Browser(protected)
    assert browser.get("/").headers["Location"] == "/signin?next=/"
    key = key_of(keys, "a")
    answer = browser.post("/signin", key=f" {key}\n", next="/?task=sst2")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie
    assert key not in str(answer.headers)
    led_on = browser.get(answer.headers["Location"])
    assert (led_on.status_code, led_on.headers["Location"]) == (303, "/?task=sst2")
    page = browser.get("/")
    assert page.status_code == 200
    assert key not in page.text
    assert page.headers["RateLimit"]


def test_beyond_loopback_the_cookie_needs_tls_and_this_host(protected: FastAPI, keys: Keyring) -> None:
    browser = Browser(protected, "https://espalier.example")
    cookie = browser.sign_in(key_of(keys, "a")).headers["Set-Cookie"]
    assert cookie.startswith("__Host-espalier=")
    assert "Secure" in cookie
    assert "Path=/;" in cookie
    assert browser.get("/").status_code == 200


def test_a_browser_that_keeps_no_cookie_is_refused_with_the_reason(protected: FastAPI, keys: Keyring) -> None:
    browser = Browser(protected, "http://espalier.example")  # a Secure cookie is dropped
    answer = browser.get(browser.sign_in(key_of(keys, "a")).headers["Location"])
    assert answer.status_code == 200
    assert "https://" in texts(answer)


@pytest.mark.parametrize("key", ["", "esp_wrong", "esp_" + "0" * 38])
def test_what_is_no_key_is_refused_in_the_words_of_the_api(protected: FastAPI, key: str) -> None:
    answer = Browser(protected).sign_in(key)
    assert answer.status_code == 401
    problem = assert_problem(
        Browser(protected).http.get("/v1/jobs", headers={"Authorization": f"Bearer {key or 'x'}"}), 401, "key_unknown"
    )
    assert problem["detail"] in texts(answer)
    assert "Set-Cookie" not in answer.headers


def test_a_session_ends_with_its_key(protected: FastAPI, keys: Keyring, database: Database) -> None:
    browser = signed_in(protected, keys, "a")
    with database.write() as session:
        api_keys.revoke(session, api_keys.list_keys(session)[0].id)
    answer = browser.get("/")
    assert_led_to_signin(answer)
    assert "revoked" in texts(browser.get(answer.headers["Location"]))
    fragment = browser.fragment("/")
    assert fragment.status_code == 401
    assert fragment.headers["HX-Redirect"].startswith("/signin")


def test_a_session_ends_by_itself(protected: FastAPI, keys: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = signed_in(protected, keys, "a")
    later = time.time() + sessions.LIFETIME_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert_led_to_signin(browser.get("/"))


def test_sign_out(protected: FastAPI, keys: Keyring) -> None:
    browser = signed_in(protected, keys, "a")
    assert browser.send("/signout").headers["Location"] == "/signin"
    assert_led_to_signin(browser.get("/"))


@pytest.mark.parametrize("cookie", ["", "x", "AAAA", "é", "A" * 400])
def test_what_is_no_session_is_none(protected: FastAPI, cookie: str) -> None:
    headers: Any = {"Accept": "text/html", "Cookie": f"espalier={cookie}".encode()}
    assert_led_to_signin(Browser(protected).http.get("/", headers=headers))


def test_a_changed_cookie_is_none(protected: FastAPI, keys: Keyring) -> None:
    browser = signed_in(protected, keys, "a")
    value = browser.http.cookies["espalier"]
    middle = len(value) // 2
    browser.http.cookies.clear()
    changed = value[:middle] + ("A" if value[middle] != "A" else "B") + value[middle + 1 :]
    assert_led_to_signin(browser.get("/", Cookie=f"espalier={changed}"))


def test_the_api_takes_no_cookies(protected: FastAPI, keys: Keyring) -> None:
    browser = signed_in(protected, keys, "a", Scope.ADMIN)
    assert_problem(browser.http.get("/v1/jobs"), 401, "key_missing")
    assert_problem(browser.http.post("/v1/jobs", json={}), 401, "key_missing")


def test_a_key_without_the_scope_to_read(protected: FastAPI, keys: Keyring) -> None:
    answer = Browser(protected).sign_in(key_of(keys, "a", Scope.WRITE))
    assert answer.status_code == 403
    assert "jobs:read" in texts(answer)
    assert "Set-Cookie" not in answer.headers


def test_requests_count_against_the_key(protected: FastAPI, keys: Keyring) -> None:
    protected.state.services.token_buckets.per_minute = 4
    browser = Browser(protected)
    browser.sign_in(key_of(keys, "a"))
    answers = [browser.get("/").status_code for _ in range(4)]
    assert answers == [200, 200, 200, 429]
    assert int(browser.get("/").headers["Retry-After"]) >= 1


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x", "/\tx"])
def test_no_link_leads_through_signing_in_to_another_site(protected: FastAPI, keys: Keyring, target: str) -> None:
    browser = Browser(protected)
    answer = browser.post("/signin", key=key_of(keys, "a"), next=target)
    assert browser.get(answer.headers["Location"]).headers["Location"] == "/"


def test_a_link_on_another_site_finds_the_session(protected: FastAPI, keys: Keyring) -> None:
    """The browser sends no SameSite=Strict cookie then; the page is loaded again from here."""
    answer = Browser(protected).get("/?task=sst2", **{"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200
    assert 'http-equiv="refresh" content="0;url=/?task=sst2"' in answer.text


def test_forms_need_the_token_of_their_session(protected: FastAPI, keys: Keyring) -> None:
    mine, other = signed_in(protected, keys, "a"), signed_in(protected, keys, "a")
    for token in ("", "x" * 64, "é", other.token()):
        answer = mine.post("/signout", form_token=token)
        assert answer.status_code == 403, token
        assert "form_forged" in texts(answer)
    assert mine.post("/signout").status_code == 403
    assert mine.post("/signout", headers={"X-Form-Token": mine.token()}).status_code == 303


@pytest.mark.parametrize("header", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}])
def test_other_sites_cannot_sign_in_or_send_forms(protected: FastAPI, keys: Keyring, header: dict[str, str]) -> None:
    browser = signed_in(protected, keys, "a")
    token = browser.token()
    assert browser.post("/signout", headers=header, form_token=token).status_code == 403
    forged = Browser(protected).post("/signin", headers=header, key=key_of(keys, "b"))
    assert forged.status_code == 403
    assert "Set-Cookie" not in forged.headers


def test_without_a_secret_key_no_user_signs_in(protected: FastAPI, keys: Keyring) -> None:
    settings = protected.state.services.settings
    settings.secret_key_file.write_text("none")
    answer = Browser(protected).sign_in(key_of(keys, "a"))
    assert answer.status_code == 503
    assert "secrets_unavailable" in texts(answer)


def test_without_keys_there_is_no_signing_in(browser: Browser) -> None:
    assert browser.get("/").status_code == 200
    assert browser.get("/signin").headers["Location"] == "/"
    assert browser.post("/signin", key="x").headers["Location"] == "/"


def test_programs_get_problems(protected: FastAPI) -> None:
    assert_problem(Browser(protected).http.get("/"), 401, "key_missing")
