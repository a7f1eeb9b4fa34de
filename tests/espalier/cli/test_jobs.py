"""The commands about jobs that exist already, against a real service."""

import json
from pathlib import Path

import httpx

from tests.api.conftest import Jobs
from tests.espalier.cli.conftest import Run


def test_jobs(espalier: Run, url: str, jobs: Jobs, tmp_path: Path) -> None:
    done = jobs.succeeded()
    job = espalier("submit", "bert-base-uncased", "sst2", "--set", 'metadata={"team": "nlp"}').strip()
    for filters in (["--metadata", "team=nlp"], ["--status", "queued"]):
        assert [found["id"] for found in json.loads(espalier("jobs", "--json", *filters))] == [job]
    assert json.loads(espalier("jobs", "--json", "--metadata", "team=cv")) == []
    assert espalier("logs", done) == httpx.get(f"{url}/v1/jobs/{done}/log").text
    assert json.loads(espalier("logs", done, "--follow", "--json").splitlines()[0])["seq"] == 1
    told = json.loads(espalier("download", done, "-o", str(tmp_path / "mine"), "--json"))
    assert told == {"path": str(tmp_path / "mine"), "bytes": 4}
    assert json.loads(espalier("delete", done, "--json")) == {"id": done, "deleted": True}
    espalier("cancel", job)
    assert espalier("delete", job) == f"{job} deleted\n"
