"""Every example of the pages on HTTP, events and uploads, run in order as it stands except for the port; no worker runs."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from api.app import create_app
from service.access import api_keys
from service.db.clock import now_sql
from service.db.engine import Database
from service.db.models import Job
from service.settings import Settings
from tests.api.conftest import Jobs
from tests.pruning.formats.test_mask_file import written
from tests.serving import serving

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
TEXT = "\n".join((REFERENCE / f"{name}.md").read_text(encoding="utf-8") for name in ("http", "events", "uploads"))
BLOCKS = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
(BLOCK_OF_PROBLEM,) = re.findall(r"```json\n(\{\"type\": \"about:blank.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def settings(migrated_sqlite: Path, tmp_path: Path) -> Settings:
    url = f"sqlite:///{tmp_path}/http.db"
    (tmp_path / "http.db").write_bytes(migrated_sqlite.read_bytes())
    return Settings(data_dir=tmp_path / "data", database_url=url, max_wait_seconds=0.25)


@pytest.fixture
def address(settings: Settings) -> Iterator[str]:
    with serving(create_app(settings)) as at:
        yield at.removeprefix("http://")


@pytest.fixture
def guarded_address(settings: Settings) -> Iterator[str]:
    """The same, with keys."""
    with serving(create_app(settings.model_copy(update={"require_keys": True}))) as at:
        yield at.removeprefix("http://")


@pytest.fixture
def jobs(settings: Settings, tmp_path: Path) -> Iterator[Jobs]:
    database = Database(settings.database_url)
    yield Jobs(database, tmp_path)
    database.dispose()


def test_the_examples(address: str, guarded_address: str, jobs: Jobs, tmp_path: Path) -> None:
    variables = dict(os.environ)

    def run(word: str, at: str = address) -> str:
        """The output of the only block with ``word``."""
        (block,) = [block for block in BLOCKS if word in block]
        command = block.replace("localhost:8000", at)
        done = subprocess.run(["bash", "-euc", command], cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def found(pattern: str, text: str) -> str:
        match = re.search(pattern, text)
        assert match is not None, text
        return match[1]

    first, again = run("Idempotency-Key"), run("Idempotency-Key")
    variables["ID"] = found(r'"id":"(job_\w+)"', first)
    assert "202 Accepted" in first
    assert "idempotency-replayed: true" in again
    assert variables["ID"] in again
    variables["ETAG"] = found(r'etag: ("\w+")', first)
    assert "304 Not Modified" in run("If-None-Match")
    assert "preference-applied: wait=0.25" in run("Prefer: wait")
    assert variables["ID"] in run("metadata[team]")
    variables["DATASET"] = "ds_x"
    uploaded = run("printf 'text,opinion")
    variables["DATASET"] = found(r'"id":"(ds_\w+)"', uploaded)
    assert '"data":[{"opinion":"good","text":"what a film"}]' in run("printf 'text,opinion")
    accepted = run('"labels": ["bad", "good"]')
    assert '"status":"queued"' in accepted
    assert '"row":2' in run("broken.jsonl")
    assert "409 Conflict" in run("-X DELETE")
    variables["SWEEP"] = found(r'"id":"(swp_\w+)"', run("v1/sweeps -H"))
    looked = run("plot.svg")
    assert '"progress":0.0' in looked
    assert ",wanda,0.97,3,job_" in looked
    assert (tmp_path / "sweep.svg").read_text().startswith("<?xml")
    with jobs.database.write() as session:
        variables["KEY"] = api_keys.create(session, name="docs")[1]
    assert '"status":"queued"' in run("$KEY", at=guarded_address)
    variables["KEY"] = "esp_0"
    assert '"code":"key_unknown"' in run("$KEY", at=guarded_address)
    shown = json.loads(BLOCK_OF_PROBLEM)
    assert {**json.loads(run('"sparsity": 2')), "request_id": ""} == {**shown, "request_id": ""}
    with jobs.database.write() as session:  # those made above wait, so that the next one is the one that is run
        session.execute(update(Job).values(not_before=now_sql(3600)))
    variables["ID"] = jobs.succeeded()
    (tmp_path / "mask.safetensors").unlink()
    watched = run("Last-Event-ID")
    assert '"has_more":false' in watched
    assert "id: 1\n" not in watched
    assert 'event: end\ndata: {"status": "succeeded"}' in watched
    assert "step,attempt" in watched
    headers = run("-C -")
    assert "repr-digest: sha-256=:" in headers
    assert (tmp_path / "mask.safetensors").read_bytes() == b"mask"
    exported = run("$ID/exports")
    assert "202 Accepted" in exported
    assert exported.count(f'"export_of":"{variables["ID"]}"') == 2
    evaluated = run("$ID/evaluations")
    assert "202 Accepted" in evaluated
    assert evaluated.count(f'"evaluation_of":"{variables["ID"]}"') == 2
    written(tmp_path)
    variables |= {"ESPALIER_URL": f"http://{address}", "PATH": f"{Path(sys.executable).parent}:{variables['PATH']}"}
    from_curl, from_client = re.findall(r"msk_\w+", run("v1/masks"))
    assert from_curl == from_client
    assert len(BLOCKS) == 17
