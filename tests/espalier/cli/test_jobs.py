"""The commands about jobs that exist already, against a real service."""

import json
from pathlib import Path
from typing import Any

import pytest

from espalier.cli.queue_place import waits_for
from espalier.client.models import Job
from service.jobs import exports
from tests import patient_http
from tests.api.conftest import Jobs
from tests.espalier.cli.conftest import Run


@pytest.mark.slow
def test_jobs(espalier: Run, url: str, jobs: Jobs, tmp_path: Path) -> None:
    done = jobs.succeeded()
    job = espalier("submit", "bert-base-uncased", "sst2", "--set", 'metadata={"team": "nlp"}').strip()
    for filters in (["--metadata", "team=nlp"], ["--status", "queued"]):
        assert [found["id"] for found in json.loads(espalier("jobs", "--json", *filters))] == [job]
    assert json.loads(espalier("jobs", "--json", "--metadata", "team=cv")) == []
    assert espalier("logs", done) == patient_http.get(f"{url}/v1/jobs/{done}/log").text
    assert json.loads(espalier("logs", done, "--follow", "--json").splitlines()[0])["seq"] == 1
    printed = json.loads(espalier("download", done, "-o", str(tmp_path / "mine"), "--json"))
    assert printed == {"path": str(tmp_path / "mine"), "bytes": 4}
    assert json.loads(espalier("delete", done, "--json")) == {"id": done, "deleted": True}
    espalier("cancel", job)
    assert espalier("delete", job) == f"{job} deleted\n"


def test_what_a_queued_job_waits_for() -> None:
    def job(number: int, status: str = "queued", **fields: Any) -> Job:
        made = {"id": f"job_{number}", "status": status, "created_at": f"2026-11-24T10:00:0{number}Z", "spec": {}}
        return Job.model_validate(made | fields)

    mine = job(5, spec={"devices": 8})
    assert waits_for(mine, [mine]) == "needs 8 devices"
    assert waits_for(job(5), []) == ""
    assert waits_for(job(5), [job(1, "running", export_of="job_0")]) == "behind 1 export"
    others = [job(1, "running"), job(2), job(3, export_of="job_0"), job(6), job(7, priority=9), job(4, priority=-1)]
    assert waits_for(mine, others) == "behind 3 jobs and 1 export; needs 8 devices"


def test_an_export_is_in_the_list_of_all_jobs_and_the_queue_says_what_it_waits_for(espalier: Run, jobs: Jobs) -> None:
    done = jobs.succeeded()
    with jobs.database.write() as session:
        made = exports.request_export(session, done, {"compact": "export-compact.zip"}, priority=0, max_duration=None)
        export = made.id
    job = jobs.queued()
    listed = espalier("jobs")
    assert all(each in listed for each in (export, job, done))
    assert "behind 1 export" in listed
    assert export not in espalier("jobs", "--status", "queued")
    assert [each["id"] for each in json.loads(espalier("jobs", "--json"))] == [job, export, done]
