"""``espalier hub-token``: stored from a file or standard input, never from an argument, never shown."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from espalier.cli.main import app
from espalier.cli.service_context import ServiceContext
from espalier.client._sync.client import Client


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    """Requests that a scripted service received."""
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        if request.method == "DELETE":
            return httpx.Response(204)
        return httpx.Response(200, json={"name": "hub_token", "set": True, "set_at": "2026-11-24T10:00:00Z"})

    monkeypatch.setattr(ServiceContext, "client", lambda context: Client(transport=httpx.MockTransport(answer)))
    return requests


def run(*arguments: str, given: str | None = None) -> Any:
    return CliRunner().invoke(app, ["hub-token", *arguments], input=given)


def test_set_show_delete(asked: list[httpx.Request], tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"\xef\xbb\xbfhf_hush\r\n")
    for done in (run("set", f"@{tmp_path / 'token'}"), run("set", given="hf_hush\n")):
        assert done.exit_code == 0, done.output
        assert "hush" not in done.output
    assert [json.loads(request.content) for request in asked] == [{"value": "hf_hush"}] * 2
    assert run("show").stdout == "stored since 2026-11-24 10:00 UTC\n"
    assert json.loads(run("show", "--json").stdout)["set"] is True
    assert run("delete").exit_code == 0
    assert asked[-1].method == "DELETE"


@pytest.mark.parametrize(("arguments", "given"), [(["hf_hush"], None), ([], "hf_hush and more\n"), ([], "")])
def test_what_is_no_token_is_refused_and_not_repeated(arguments: list[str], given: str | None, asked: list[httpx.Request]) -> None:
    done = run("set", *arguments, given=given)
    assert done.exit_code == 2
    assert "hush" not in done.output
    assert asked == []
