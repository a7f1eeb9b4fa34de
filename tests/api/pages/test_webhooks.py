"""Pages of webhooks and of the hub token: created, tested, disabled and deleted; no secret in a page."""

import base64
import socket
from typing import Any

import pytest
from fastapi import FastAPI

from service.access.api_keys import Scope
from service.jobs import commands
from service.webhooks import outbox
from service.webhooks.outbox import DeliveryResult
from tests.api.conftest import Jobs
from tests.api.pages.browser_client import MARKUP, Browser, texts
from tests.api.pages.test_access import signed_in
from tests.api.protected_app import Keyring

URL = "https://receiver.example/hook?a=<b>&c"
SECRET = "whsec_" + base64.b64encode(bytes(range(24))).decode()
TOKEN = "hf_aTokenOfSomebody"


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> None:
    """What each name leads to, in the place of a name server."""

    def getaddrinfo(host: str, port: int, **_: Any) -> Any:
        known = {"receiver.example": "8.8.8.8", "inside.example": "10.0.0.7"}
        if host not in known:
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (known[host], port))]

    monkeypatch.setattr("service.webhooks.name_lookup.socket.getaddrinfo", getaddrinfo)


@pytest.fixture
def user(protected: FastAPI, keys: Keyring) -> Browser:
    return signed_in(protected, keys, "a", Scope.READ, Scope.WRITE)


def test_from_its_form_to_its_end(user: Browser, protected: FastAPI, keys: Keyring, jobs: Jobs) -> None:
    assert "No webhooks yet" in texts(user.get("/webhooks"))
    made = user.send("/webhooks", "/webhooks", url=URL, event=["job.cancelled"], secret=SECRET)
    assert made.status_code == 303
    here = made.headers["Location"]
    assert "No messages yet" in texts(user.get(here))
    with jobs.database.write() as session:
        job = commands.create(session, spec={"model": "m", "task": "sst2", "method": "smp-s"}, owner="a")
        commands.request_cancel(session, job.id)
        job_id = job.id
    with jobs.database.write() as session:
        (claimed,) = outbox.claim(session, limit=1, lease_seconds=60)
        result = DeliveryResult(status=500, error=MARKUP, retry=True)
        outbox.record_result(session, claimed.delivery, result, max_attempts=5)
    page = user.get(here)
    for text in ("job.cancelled", job_id, "pending", "500", "next in"):
        assert text in texts(page)
    for address in ("/webhooks", here):
        shown = user.get(address)
        assert "receiver.example/hook?a=&lt;b&gt;&amp;c" in shown.text
        assert "<script>alert" not in shown.text
        assert SECRET not in shown.text
    assert f'hx-get="{here}"' in user.fragment(here).text
    other_owner = signed_in(protected, keys, "b", Scope.READ, Scope.WRITE)
    assert here not in other_owner.get("/webhooks").text
    assert other_owner.get(here).status_code == 404
    for action in ("test", "enable", "disable", "delete"):
        assert other_owner.send(f"{here}/{action}").status_code == 404
        assert user.post(f"{here}/{action}").status_code == 403
    assert user.send(f"{here}/test", here).headers["Location"] == here
    assert "webhook.test" in texts(user.get(here))
    assert user.send(f"{here}/disable", here).headers["Location"] == here
    assert "Switch on" in texts(user.get(here))
    assert user.send(f"{here}/enable", here).headers["Location"] == here
    assert "Switch off" in texts(user.get(here))
    assert user.send(f"{here}/delete", here).headers["Location"] == "/webhooks"
    assert user.get(here).status_code == 404


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"url": "https://inside.example/"}, "inside.example"),
        ({"secret": ""}, "whsec_"),
        ({"secret": "whsec_tooShort"}, "whsec_"),
        ({"event": []}, "events"),
        ({"event": ["job.none"]}, "events"),
        ({"url": ""}, "url"),
    ],
)
def test_refusals_are_those_of_the_api(user: Browser, change: dict[str, Any], word: str) -> None:
    given: dict[str, Any] = {"url": URL, "event": ["job.failed"], "secret": SECRET, **change}
    refused = user.send("/webhooks", "/webhooks", **given)
    assert refused.status_code == 422
    assert word in texts(refused)
    assert given["secret"] == "" or given["secret"] not in refused.text
    assert "No webhooks yet" in texts(refused)


def test_a_reader_changes_nothing(protected: FastAPI, keys: Keyring) -> None:
    reader = signed_in(protected, keys, "a", Scope.READ)
    assert "/webhooks" in reader.get("/").text
    assert "<form" not in reader.get("/webhooks").text.partition("<main")[2]
    assert reader.send("/webhooks", url=URL, event=["job.failed"], secret=SECRET).status_code == 403
    assert "<form" not in reader.get("/hub-token").text.partition("<main")[2]
    assert reader.send("/hub-token", value=TOKEN).status_code == 403


def test_the_hub_token_is_set_replaced_and_removed(user: Browser, protected: FastAPI, keys: Keyring) -> None:
    assert "No token is set" in texts(user.get("/hub-token"))
    for _ in range(2):
        assert user.send("/hub-token", "/hub-token", value=f" {TOKEN}\n").headers["Location"] == "/hub-token"
        page = user.get("/hub-token")
        assert "A token is set" in texts(page)
        assert TOKEN not in page.text
    refused = user.send("/hub-token", "/hub-token", value="hf token")
    assert refused.status_code == 422
    assert "hf token" not in refused.text
    assert "A token is set" in texts(refused)
    assert "No token is set" in texts(signed_in(protected, keys, "b", Scope.READ).get("/hub-token"))
    assert user.post("/hub-token/delete").status_code == 403
    assert user.send("/hub-token/delete", "/hub-token").headers["Location"] == "/hub-token"
    assert "No token is set" in texts(user.get("/hub-token"))
