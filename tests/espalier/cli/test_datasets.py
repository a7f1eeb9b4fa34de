"""``espalier datasets`` against a real service: upload, list, show, delete."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.app import create_app
from espalier.cli.datasets import app
from espalier.errors import ApiError
from service.settings import Settings
from tests.serving import serving


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_datasets(settings: Settings, tmp_path: Path) -> None:
    train, validation = tmp_path / "train.csv", tmp_path / "dev.jsonl"
    train.write_text("body,queue\nhelp,open\nthanks,shut\n")
    validation.write_text('{"body": "ä", "queue": "open"}\n')
    runner = CliRunner()
    with serving(create_app(settings)) as url:

        def espalier(*arguments: str) -> str:
            done = runner.invoke(app, [*arguments, "--url", url], catch_exceptions=False)
            assert done.exit_code == 0, done.output
            return done.stdout

        dataset = espalier("upload", str(train), str(validation), "--name", "tickets").strip()
        assert json.loads(espalier("upload", str(train), str(validation), "--json"))["id"] == dataset
        assert all(word in espalier("list") for word in (dataset, "tickets", "train 2, validation 1", "body, queue"))
        assert [found["id"] for found in json.loads(espalier("list", "--json"))] == [dataset]
        shown = espalier("show", dataset, "--rows", "1")
        assert all(word in shown for word in ("open, shut", 'train: {"body": "help", "queue": "open"}', '"ä"'))
        assert json.loads(espalier("show", dataset, "--json"))["name"] == "tickets"
        espalier("delete", dataset)
        assert json.loads(espalier("list", "--json")) == []
        with pytest.raises(ApiError) as refused:
            espalier("show", dataset)
        assert refused.value.code == "dataset_not_found"
    assert runner.invoke(app, ["upload", "absent.csv", str(validation)]).exit_code == 2
