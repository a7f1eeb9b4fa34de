"""Options ``--url``, ``--api-key`` and ``--json``: parsing, keys from files, output."""

import inspect
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from espalier.cli.options import DEFAULT_URL
from espalier.cli.service_context import ServiceContext, with_service


def context(key: str) -> ServiceContext:
    return ServiceContext("http://127.0.0.1:9", key, as_json=False)


def test_a_key_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("esp_secret\n")
    with context(f"@{file}").client() as opened:
        assert opened._http._client.headers["Authorization"] == "Bearer esp_secret"
    file.write_bytes(b"\xef\xbb\xbfesp_secret\r\n")
    assert context(f"@{file}").key() == "esp_secret"
    assert "secret" not in repr(context("esp_secret"))
    for content in (b"", b"esp_secret two", b"esp_secret\xff"):
        file.write_bytes(content)
        with pytest.raises(typer.BadParameter) as refused:
            context(f"@{file}").client()
        assert "secret" not in str(refused.value)
    with pytest.raises(typer.BadParameter, match="No such file"):
        context(f"@{tmp_path}/none").client()


def test_a_command_takes_the_options_of_a_service_last_and_gets_one_argument() -> None:
    app, seen = typer.Typer(), list[tuple[str, ServiceContext]]()

    @app.command()
    @with_service
    def command(context: ServiceContext, job: str) -> None:
        """Explains itself."""
        seen.append((job, context))

    assert list(inspect.signature(command).parameters) == ["job", "url", "api_key", "as_json"]
    assert command.__doc__ == "Explains itself."
    for arguments in (["one"], ["two", "--url", "http://a", "--api-key", "k", "--json"]):
        assert CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code == 0
    assert CliRunner().invoke(app, ["three"], env={"ESPALIER_URL": "http://b"}).exit_code == 0
    assert seen == [
        ("one", ServiceContext(DEFAULT_URL, None, as_json=False)),
        ("two", ServiceContext("http://a", "k", as_json=True)),
        ("three", ServiceContext("http://b", None, as_json=False)),
    ]
