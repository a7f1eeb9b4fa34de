"""Files in UTF-8 under every locale, and output to terminals that lack a character."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import typer

from espalier.cli.options import json_file, text_file
from tests.http_servers import Quiet, serving
from tests.processes import ROOT

LABELS = ["Büroklammer", "東京", "🎬"]
ASCII_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
LATIN_OUTPUT = {"PYTHONUTF8": "0", "PYTHONIOENCODING": "iso-8859-1"}
CODES = ("utf-8", "utf-8-sig")


class _Echo(Quiet, BaseHTTPRequestHandler):
    """Answers every request with a job whose spec is the body."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._respond({"id": "job_1", "status": "queued", "spec": body})

    def do_GET(self) -> None:
        row = {"id": "job_1", "status": "queued", "spec": {"model": LABELS[0], "task": LABELS[1]}}
        self._respond({"data": [row], "has_more": False})

    def _respond(self, document: object) -> None:
        content = json.dumps(document).encode()
        self.send_response(202)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(_Echo) as address:
        yield address


def espalier(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "espalier.cli", *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, timeout=60)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("environment", [{}, ASCII_LOCALE, LATIN_OUTPUT], ids=["utf8", "ascii", "latin"])
def test_a_spec_file_is_sent_as_it_was_written(url: str, tmp_path: Path, code: str, environment: dict[str, str]) -> None:
    file, key = tmp_path / "spec.json", tmp_path / "key"
    spec = {"model": "m", "task": {"dataset": "d", "labels": LABELS}}
    file.write_text(json.dumps(spec, ensure_ascii=False), encoding=code)
    key.write_text("esp_key\n", encoding=code)
    done = espalier("submit", "--spec", str(file), "--json", "--url", url, "--api-key", f"@{key}", **environment)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.decode("utf-8"))["spec"]["task"]["labels"] == LABELS


@pytest.mark.parametrize("environment", [ASCII_LOCALE, LATIN_OUTPUT], ids=["ascii", "latin"])
def test_a_table_with_characters_that_the_terminal_lacks_is_printed(url: str, environment: dict[str, str]) -> None:
    done = espalier("jobs", "--url", url, **environment)
    assert done.returncode == 0, done.stderr
    assert b"job_1" in done.stdout
    listed = espalier("jobs", "--url", url, "--json", **environment)
    assert json.loads(listed.stdout.decode("utf-8"))[0]["spec"]["model"] == LABELS[0]


@pytest.mark.parametrize("content", [b'{"a": "hush\xff"}', "{}".encode("utf-16"), b"\xe4"])
def test_another_encoding_is_named_and_the_file_not_quoted(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "spec.json"
    file.write_bytes(content)
    with pytest.raises(typer.BadParameter, match="UTF-8") as refused:
        json_file(file, "--spec")
    assert "hush" not in str(refused.value)
    with pytest.raises(typer.BadParameter, match=re.escape(str(tmp_path / "none"))):
        text_file(tmp_path / "none", "--spec")


def test_no_module_of_the_command_line_or_client_reads_by_the_locale() -> None:
    """Every text file names its encoding: what is left out is the locale's."""
    files = [*(ROOT / "espalier").rglob("*.py"), *(ROOT / "api").rglob("*.py"), *(ROOT / "service").rglob("*.py")]
    calls = re.compile(r"\.(read_text|write_text)\(\)|\.open\(\)|[^.\w]open\([\w.]*\)")
    found = [f"{file}: {match[0]}" for file in files for match in calls.finditer(file.read_text("utf-8"))]
    assert found == []
