"""``espalier masks`` against a real service: push, list, delete; and a job that starts from one."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.app import create_app
from espalier.cli.main import app
from service.settings import Settings
from tests.pruning.formats.test_mask_file import written
from tests.serving import serving


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_masks(settings: Settings, tmp_path: Path) -> None:
    file, runner = written(tmp_path), CliRunner()
    with serving(create_app(settings)) as url:

        def espalier(*arguments: str) -> str:
            done = runner.invoke(app, [*arguments, "--url", url], catch_exceptions=False)
            assert done.exit_code == 0, done.output
            return done.stdout

        mask = espalier("masks", "push", str(file), "--name", "nine tenths").strip()
        assert json.loads(espalier("masks", "push", str(file), "--json"))["id"] == mask
        assert all(word in espalier("masks", "list") for word in (mask, "nine tenths", "sst2", "smp-s"))
        assert [found["id"] for found in json.loads(espalier("masks", "list", "--json"))] == [mask]
        job = json.loads(espalier("submit", "bert-base-uncased", "sst2", "--sparsity", "0.97", "--from", mask, "--json"))
        assert job["spec"]["init_from"] == mask
        espalier("cancel", job["id"])
        espalier("masks", "delete", mask[:10])
        assert json.loads(espalier("masks", "list", "--json")) == []
