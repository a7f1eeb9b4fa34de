"""``espalier worker``: what it needs before it starts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from espalier.cli.main import app
from espalier.cli.service_access import _storage_credentials
from tests.processes import ROOT


def test_a_worker_needs_a_migrated_database(tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, ["worker", "--data-dir", str(tmp_path)])
    assert "espalier db upgrade" in str(refused.exception)


_DROP = """
import os, sys
from pathlib import Path
from espalier.cli import service_access
from service.settings import Settings
settings = Settings()
def show(path, command, variables):
    print(os.getresuid(), os.getresgid(), os.getgroups(), *sorted(variables.items()), sep="\\n")
os.execve = show
service_access.become(["worker"], service_access.overrides(settings), settings)
for name in ("database_url", "secret_key"):
    try:
        Path(sys.argv[1], name).read_text()
    except PermissionError:
        print(name, "is closed")
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_root_reads_the_secrets_and_becomes_another_user(tmp_path: Path) -> None:
    storage = "[other]\naws_access_key_id = no\n[default]\naws_access_key_id = AKIA\naws_secret_access_key = s/e%c\n"
    texts = {"database_url": "postgresql://u:p@h/d", "secret_key": "a2V5\n", "storage": storage}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    environment = {
        "ESPALIER_DATABASE_URL_FILE": str(tmp_path / "database_url"),
        "ESPALIER_RUN_AS": "10001:10002",
        "ESPALIER_SECRET_KEY_FILE": str(tmp_path / "secret_key"),
        "PYTHONPATH": str(ROOT),
        "PATH": os.environ["PATH"],
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "storage"),
    }
    command = [sys.executable, "-c", _DROP, str(tmp_path)]
    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert out.startswith("(10001, 10001, 10001)\n(10002, 10002, 10002)\n[]\n")
    assert "('ESPALIER_DATABASE_URL', 'postgresql+psycopg://u:p@h/d')" in out
    assert "('ESPALIER_SECRET_KEY', 'a2V5')" in out
    assert "('AWS_ACCESS_KEY_ID', 'AKIA')" in out
    assert "('AWS_SECRET_ACCESS_KEY', 's/e%c')" in out
    assert "_FILE" not in out
    assert out.endswith("database_url is closed\nsecret_key is closed\n")


@pytest.mark.parametrize("text", ["", "[default]\n", "[other]\naws_access_key_id = no\n"])
def test_a_file_without_credentials_gives_none(text: str, tmp_path: Path) -> None:
    """As the compose file has it where the AWS SDK finds them elsewhere, for instance in the role of the instance."""
    (tmp_path / "storage").write_text(text)
    assert _storage_credentials({"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "storage")}) == {}
