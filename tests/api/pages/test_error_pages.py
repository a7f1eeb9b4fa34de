"""Errors in a browser: a page in the style of the others, a problem for programs, and no more said of a bug than to them."""

from collections.abc import Callable
from typing import Any

import pytest

from api.errors.problems import MEDIA_TYPE
from api.pages import error_pages, home
from tests.api.pages.browser_client import Browser, texts


def _fail(*_: Any, **__: Any) -> Any:
    raise LookupError("the secret of the house")


@pytest.mark.parametrize("path", ["/nothing", "/jobs/", "/static/../nothing.css", "/jobs/1/nothing"])
def test_unknown_paths_are_pages(browser: Browser, path: str) -> None:
    shown = browser.get(path)
    assert (shown.status_code, shown.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "default-src 'self'" in shown.headers["content-security-policy"]
    assert "All jobs" in texts(shown)
    assert browser.http.get(path).headers["content-type"] == MEDIA_TYPE


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/jobs/nothing"])
def test_the_api_answers_every_client_with_problems(browser: Browser, path: str) -> None:
    shown = browser.get(path)
    assert (shown.status_code, shown.headers["content-type"]) == (404, MEDIA_TYPE)


def test_a_method_that_is_not_possible_is_a_page(browser: Browser) -> None:
    shown = browser.http.delete("/", headers={"Accept": "text/html"})
    assert (shown.status_code, shown.headers["content-type"]) == (405, "text/html; charset=utf-8")
    assert "GET" in shown.headers["allow"]


@pytest.fixture
def broken(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    monkeypatch.setattr(home, "list_jobs", _fail)
    return monkeypatch.setattr


def test_a_bug_is_a_page_with_the_request_id_alone(browser: Browser, broken: object) -> None:
    shown = browser.get("/")
    assert (shown.status_code, shown.headers["content-type"]) == (500, "text/html; charset=utf-8")
    assert "default-src 'self'" in shown.headers["content-security-policy"]
    assert shown.headers["x-request-id"] in texts(shown)
    assert "secret of the house" not in shown.text
    assert browser.fragment("/").status_code == 500


def test_a_bug_in_the_making_of_pages_is_a_problem(browser: Browser, broken: Callable[..., None]) -> None:
    broken(error_pages, "render", _fail)
    shown = browser.get("/")
    assert (shown.status_code, shown.headers["content-type"]) == (500, MEDIA_TYPE)
    assert shown.headers["x-request-id"] == shown.json()["request_id"]
