"""The command line without a service: help, parsing, exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from espalier.cli.options import spec_from
from scripts.cli_page import commands
from tests.processes import ROOT
from tests.services import free_port

HEAVY = ("torch", "transformers", "httpx", "sqlalchemy", "celery", "pydantic", "rich.progress")


def espalier(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "espalier.cli", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )


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
    told, _, example = command.help.partition("Example: ")
    assert told.strip()
    assert example.startswith((name, name.removesuffix(" submit")))
    assert all(parameter.help for parameter in command.params), "an option without a word of help"
    assert name in SILENT or any("--json" in parameter.opts for parameter in command.params)


def test_the_help_is_in_panels_and_names_the_exit_codes() -> None:
    told = espalier("--help").stdout
    assert all(f"─ {panel} ─" in told for panel in ("Jobs", "Masks", "Data", "Service"))
    assert not any(f"─ {panel} ─" in told for panel in ("Commands",))
    assert "Exit codes" in told
    assert "130" in told


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
        "model": "b", "task": {"dataset": "tickets"}, "seed": 7, "sparsity": 0.5, "max_steps": 20, "teacher": None,
        "preset": "paper",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("model", "task", "fields", "words"),
    [("a", None, [], "task is missing"), (None, None, [], "model is missing"), ("a", "b", ["seed"], "FIELD=VALUE")],
)
def test_a_spec_that_cannot_be_read(model: str | None, task: str | None, fields: list[str], words: str) -> None:
    with pytest.raises(typer.BadParameter, match=words):
        spec_from(model, task, None, None, fields, None)


def test_exit_codes_without_a_service() -> None:
    gone = f"http://127.0.0.1:{free_port()}"
    unreachable = espalier("jobs", "--url", gone)
    assert unreachable.returncode == 3
    assert "is the service running" in unreachable.stderr
    assert len(unreachable.stderr.splitlines()) == 1
    assert espalier("submit", "--url", gone).returncode == 2
    assert espalier("no-such-command").returncode == 2
