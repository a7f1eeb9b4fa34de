"""Hub token: it is stored and never returned."""

import base64
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from service.access import secrets
from service.db.engine import Database
from service.settings import Settings
from tests.api.conftest import BODY
from tests.api.problems import assert_problem
from tests.api.protected_app import Keyring

PATH = "/v1/secrets/hub_token"
TOKEN = "hf_QWxhZGRpbjpvcGVuIHNlc2FtZQ"
KEY = SecretStr(base64.b64encode(b"k" * 32).decode())


def test_set_get_replace_and_delete(client_with: Callable[..., TestClient], database: Database, settings: Settings) -> None:
    client, keys = client_with(require_keys=True, secret_key=KEY), Keyring(database)
    unset = {"name": "hub_token", "set": False, "set_at": None}
    assert client.get(PATH, headers=keys.header_of("a")).json() == unset
    for value in (TOKEN, TOKEN[::-1]):
        answer = client.put(PATH, json={"value": value}, headers=keys.header_of("a"))
        assert answer.status_code == 200
        assert answer.json()["set"] is True
        assert value not in answer.text
    assert client.get(PATH, headers=keys.header_of("a")).json() == answer.json()
    assert client.get(PATH, headers=keys.header_of("b")).json() == unset
    with database.read() as session:
        settings = settings.model_copy(update={"secret_key": KEY})
        assert secrets.reveal(session, settings, "a", "hub_token") == TOKEN[::-1]
    assert client.delete(PATH, headers=keys.header_of("b")).status_code == 204
    assert client.get(PATH, headers=keys.header_of("a")).json()["set"] is True
    assert client.delete(PATH, headers=keys.header_of("a")).status_code == 204
    assert client.get(PATH, headers=keys.header_of("a")).json() == unset


@pytest.mark.parametrize("value", ["", "hf_sh", "with a space", "new\nline", 'quote"quote', "x" * 513, None])
def test_a_malformed_token_is_refused_without_repeating_it(strict_client: TestClient, value: str | None) -> None:
    answer = strict_client.put(PATH, json={"value": value})
    assert assert_problem(answer, 422, "invalid_request")["errors"][0]["pointer"] == "/value"
    assert not value or value not in answer.text


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_production_without_a_secret_key_says_so(client: TestClient) -> None:
    refused = assert_problem(client.put(PATH, json={"value": TOKEN}), 503, "secrets_unavailable")
    assert "ESPALIER_SECRET_KEY" in refused["detail"]
    assert client.get(PATH).json()["set"] is False


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_embedded_service_needs_no_setting(client: TestClient, settings: Settings) -> None:
    assert client.put(PATH, json={"value": TOKEN}).status_code == 200
    assert (settings.data_dir / "secret.key").exists()


@pytest.mark.parametrize(
    "body", ["hush me", ["hush me"], {"vlaue": "hush me"}, {"value": ["hush me"]}, {"value": {"a": "hush me"}}]
)
def test_no_refusal_repeats_what_may_be_a_secret(strict_client: TestClient, body: object) -> None:
    for answer in (
        strict_client.put("/v1/secrets/hub_token", json=body),
        strict_client.post("/v1/webhooks", json={"url": "https://a.example/", "secret": body}),
        strict_client.post("/v1/jobs", json=BODY | {"webhook": {"url": "https://a.example/", "secret": body}}),
    ):
        assert answer.status_code == 422, answer.text
        assert "hush" not in answer.text
