"""Beginnings of ids, ``last``, and completion by the shell, against a real service."""

import json

import pytest
import typer

from espalier.cli.ids import JOB, _complete, resolve
from espalier.client import Client
from tests.api.conftest import Jobs
from tests.espalier.cli.conftest import Run
from tests.services import free_port


def test_a_unique_beginning_and_last_stand_for_an_id(url: str, jobs: Jobs) -> None:
    with Client(url) as client:
        with pytest.raises(typer.BadParameter, match="job"):
            resolve(client, JOB, "last")
        first, second = jobs.succeeded(), jobs.queued()
        assert resolve(client, JOB, "last") == second
        same = next(i for i in range(len(first)) if first[i] != second[i])
        assert resolve(client, JOB, first[: same + 1]) == first
        assert resolve(client, JOB, second[4:-1]) == second
        with pytest.raises(typer.BadParameter, match="job_"):
            resolve(client, JOB, "job_")
        assert resolve(client, JOB, "job_none") == "job_none"  # which the service refuses


def test_commands_take_beginnings(espalier: Run, jobs: Jobs) -> None:
    job = jobs.queued()
    assert json.loads(espalier("cancel", job[:-2], "--json"))["id"] == job
    assert json.loads(espalier("show", "last", "--json"))["id"] == job
    espalier("delete", job[4:-1])


@pytest.mark.slow
def test_a_job_starts_from_the_mask_of_another_that_is_named_by_its_beginning(espalier: Run, jobs: Jobs) -> None:
    start = jobs.succeeded()
    for name in ("last", start[:-2], start):
        job = json.loads(espalier("submit", "bert-base-uncased", "sst2", "--from", name, "--json"))
        assert job["spec"]["init_from"] == start
        assert f"the mask of {start}" in espalier("show", job["id"])
        espalier("cancel", job["id"])
        espalier("delete", job["id"])
    assert "the mask of" not in espalier("show", start)


def test_the_shell_completes_ids_and_prints_nothing_without_a_service(url: str, jobs: Jobs) -> None:
    job = jobs.queued()
    assert list(_complete(JOB, {"url": url}, job[:10])) == [(job, "queued bert-base-uncased")]
    assert [name for name, _ in _complete(JOB, {"url": url}, "")] == ["last", job]
    assert list(_complete(JOB, {"url": f"http://127.0.0.1:{free_port()}"}, "job_")) == []
