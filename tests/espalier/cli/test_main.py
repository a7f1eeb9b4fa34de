"""The command line without a service: help, parsing, exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import typer

from espalier.cli.main import main
from espalier.cli.options import spec_from
from espalier.cli.service_context import ServiceContext
from espalier.client._sync.client import Client
from scripts.cli_page import commands
from tests.processes import ROOT
from tests.services import free_port

HEAVY = ("torch", "transformers", "httpx", "sqlalchemy", "celery", "pydantic", "rich.progress")


def espalier(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "espalier.cli", *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=60)


def test_help_loads_nothing_heavy() -> None:
    code = f"import sys, espalier.cli.main; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"


COMMANDS = dict(commands())
SILENT = {"espalier serve", "espalier api", "espalier worker", "espalier health", "espalier db upgrade"}
"""Commands that print no data."""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example(name: str) -> None:
    command = COMMANDS[name]
    printed, _, example = command.help.partition("Example: ")
    assert printed.strip()
    assert example.startswith((name, name.removesuffix(" submit")))
    assert all(parameter.help for parameter in command.params), "an option without a word of help"
    assert name in SILENT or any("--json" in parameter.opts for parameter in command.params)


def test_the_help_is_in_panels_and_names_the_exit_codes() -> None:
    printed = espalier("--help").stdout
    assert all(f"─ {panel} ─" in printed for panel in ("Jobs", "Masks", "Data", "Service"))
    assert not any(f"─ {panel} ─" in printed for panel in ("Commands",))
    assert "Exit codes" in printed
    assert "130" in printed


def test_completion() -> None:
    words = {"_ESPALIER_COMPLETE": "complete_bash", "COMP_WORDS": "espalier wa", "COMP_CWORD": "1"}
    code = "import sys; sys.argv[0] = 'espalier'; from espalier.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | words, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["watch"]


def test_a_spec_is_read_from_file_arguments_and_fields(tmp_path: Path) -> None:
    file = tmp_path / "spec.json"
    file.write_text(json.dumps({"model": "a", "task": "rte", "seed": 7}))
    spec = spec_from("b", '{"dataset": "tickets"}', 0.5, None, ["max_steps=20", "teacher=null", "preset=paper"], file)
    assert spec == {
        "model": "b",
        "task": {"dataset": "tickets"},
        "seed": 7,
        "sparsity": 0.5,
        "max_steps": 20,
        "teacher": None,
        "preset": "paper",
    }


@pytest.mark.parametrize(
    ("model", "task", "fields", "words"), [("a", None, [], "task"), (None, None, [], "model"), ("a", "b", ["seed"], "FIELD=VALUE")]
)
def test_a_spec_that_cannot_be_read(model: str | None, task: str | None, fields: list[str], words: str) -> None:
    with pytest.raises(typer.BadParameter, match=words):
        spec_from(model, task, None, None, fields, None)


FOREIGN = {
    "302": httpx.Response(302, headers={"Location": "https://elsewhere.test/v1/jobs"}),
    "html": httpx.Response(200, html="<title>Sign in</title>"),
    "other JSON": httpx.Response(200, json={"hello": "world"}),
    "a list": httpx.Response(200, json=[1, 2]),
    "nothing": httpx.Response(204),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_url_that_is_another_service_ends_with_3_and_a_line(
    kind: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    transport = httpx.MockTransport(lambda _: FOREIGN[kind])
    monkeypatch.setattr(ServiceContext, "client", lambda context: Client(context.url, transport=transport))
    monkeypatch.setattr(sys, "argv", ["espalier", "jobs", "--url", "http://other.test"])
    with pytest.raises(SystemExit) as left:
        main()
    printed = capfd.readouterr()
    assert (left.value.code, printed.out, len(printed.err.splitlines())) == (3, "", 1)
    assert ("elsewhere.test" if kind == "302" else "Espalier") in printed.err


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (["--url", "http://[::1"], {}, "--url or ESPALIER_URL: "),
        (["--url", "http://far.test", "--api-key", "esp_hush one"], {}, "--api-key or ESPALIER_API_KEY: "),
        (["--url", "http://far.test"], {"ALL_PROXY": "ftp://user:esp_hush@proxy"}, "ALL_PROXY=ftp://***@proxy"),
        (["--url", "http://far.test"], {"NO_PROXY": "fd00::/8", "HTTP_PROXY": "http://proxy:1"}, "NO_PROXY=fd00::/8"),
    ],
)
def test_what_prevents_every_request_is_named_in_one_line(arguments: list[str], environment: dict[str, str], words: str) -> None:
    done = espalier("jobs", *arguments, **environment)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert words in done.stderr
    assert "hush" not in done.stderr


def test_exit_codes_without_a_service() -> None:
    gone = f"http://127.0.0.1:{free_port()}"
    unreachable = espalier("jobs", "--url", gone)
    assert unreachable.returncode == 3
    tried, end = unreachable.stderr.splitlines()
    assert gone in tried
    assert "trying again" in tried
    assert end.startswith("espalier: no answer from ")
    assert espalier("submit", "--url", gone).returncode == 2
    assert espalier("no-such-command").returncode == 2
