"""``espalier worker``: what it needs before it starts."""

from pathlib import Path

from typer.testing import CliRunner

from espalier.cli.main import app


def test_a_worker_needs_a_migrated_database(tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, ["worker", "--data-dir", str(tmp_path)])
    assert "espalier db upgrade" in str(refused.exception)
