"""Rolling upgrades, with the commands of their page: processes of the previous release work on the new tables."""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update

from service.db.engine import Database
from service.db.migrate import is_current
from service.db.models import Job
from service.jobs import commands, queries
from service.protocol import PROTOCOL
from service.states import Status
from tests import runbooks, services
from tests.conftest import or_skip
from tests.previous_release import NoHistoryError, PreviousRelease
from tests.processes import CommandProcess, ModuleProcess
from tests.waiting import wait_until

PAGE = "how-to/upgrade"
TUNING = {"LEASE_SECONDS": "20", "HEARTBEAT_SECONDS": "0.2", "RESCUE_SECONDS": "0.3", "TERM_GRACE_SECONDS": "5"}


@pytest.fixture
def previous(tmp_path: Path) -> PreviousRelease:
    try:
        return PreviousRelease(tmp_path / "previous")
    except NoHistoryError as error:
        pytest.skip(f"the release before cannot be unpacked: {error}")


@pytest.fixture
def environment(redis_url: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    for url in or_skip(services.postgres):
        yield {
            "ESPALIER_DATABASE_URL": url,
            "ESPALIER_BROKER_URL": redis_url,
            "ESPALIER_DATA_DIR": str(tmp_path / "data"),
            "HF_HUB_OFFLINE": "1",
            **{f"ESPALIER_{name}": value for name, value in TUNING.items()},
        }


def address(api: CommandProcess) -> str:
    return api.wait_for_line("listens on", seconds=60).split("listens on ")[1].split('"')[0].strip()


def submit(url: str, behaviour: str = "success") -> str:
    response = httpx.post(f"{url}/v1/jobs", json={"model": f"fake/{behaviour}", "task": "sst2"}, timeout=30)
    assert response.status_code == 202, response.text
    job_id: str = response.json()["id"]
    return job_id


def status(url: str, job_id: str) -> str:
    found: str = httpx.get(f"{url}/v1/jobs/{job_id}", timeout=30).json()["status"]
    return found


def test_processes_of_both_releases_on_one_database(previous: PreviousRelease, environment: dict[str, str], tmp_path: Path) -> None:
    logs, api_arguments = tmp_path / "logs", ["espalier.cli", "api", "--port", "0"]
    worker_arguments = ["tests.worker.fake_worker"]
    with previous.start(["migrations"], environment, logs, "migrate") as migrated:
        assert migrated.wait(120) == 0, migrated.stderr
    database = Database(environment["ESPALIER_DATABASE_URL"])

    def ended(job_id: str) -> bool:
        with database.read() as session:
            return queries.get(session, job_id).status is Status.SUCCEEDED

    def event_types(job_id: str) -> list[str]:
        with database.read() as session:
            return [event.type for event in queries.events(session, job_id)]

    with ExitStack() as stack:
        old_api = stack.enter_context(previous.start(api_arguments, environment, logs, "old-api"))
        old_worker = stack.enter_context(
            previous.start(worker_arguments, {**environment, "ESPALIER_WORKER_SLOTS": "2"}, logs, "old")
        )
        old = address(old_api)
        before, over = submit(old), submit(old, "first_waits")
        wait_until(lambda: status(old, before) == "succeeded", what=lambda: f"a job before: {old_worker.stderr[-3000:]}")
        wait_until(lambda: status(old, over) == "running", what="a job that runs on meanwhile")

        runbooks.run(runbooks.examples(PAGE, "Tables"), environment, tmp_path)
        assert is_current(database)
        on_new_tables = submit(old)
        wait_until(lambda: status(old, on_new_tables) == "succeeded", what=lambda: f"the old worker: {old_worker.stderr[-3000:]}")

        with database.write() as session:
            later = commands.create(session, spec={"model": "fake/success", "task": "sst2"})
            later.protocol = PROTOCOL + 1
        wait_until(lambda: "waiting" in event_types(later.id), what=lambda: f"its event: {old_worker.stderr[-3000:]}")
        with database.write() as session:
            session.execute(update(Job).where(Job.id == later.id, Job.attempt == 0).values(protocol=PROTOCOL))

        new_worker = stack.enter_context(ModuleProcess(worker_arguments, environment, logs, "new"))
        new_worker.wait_for_line("is ready", seconds=60)
        old_worker.process.terminate()
        assert old_worker.wait(60) == 0
        wait_until(lambda: ended(over), what=lambda: f"the job over the upgrade: {new_worker.stderr[-3000:]}")
        by_new_worker = submit(old)
        wait_until(lambda: status(old, by_new_worker) == "succeeded", what=lambda: f"the new worker: {new_worker.stderr[-3000:]}")

        new = address(stack.enter_context(ModuleProcess(api_arguments, environment, logs, "new-api")))
        last = submit(new)
        wait_until(lambda: ended(last) and ended(later.id), what=lambda: f"the last job: {new_worker.stderr[-3000:]}")
        for job_id in (before, over, on_new_tables, by_new_worker, last):
            masks = [httpx.get(f"{url}/v1/jobs/{job_id}/artifacts/mask.safetensors", timeout=30) for url in (old, new)]
            assert [mask.status_code for mask in masks] == [200, 200]
            assert {hashlib.sha256(mask.content).digest() for mask in masks} == {hashlib.sha256(b"a mask").digest()}
        old_api.process.terminate()
        old_api.wait(60)
        runbooks.run(runbooks.examples(PAGE, "Check"), {**environment, "ESPALIER_URL": new}, tmp_path)
    with database.read() as session:
        over_job = queries.get(session, over)
        assert (over_job.attempt, over_job.attempts_spent) == (2, 0)
        assert queries.get(session, later.id).status is Status.SUCCEEDED
    database.dispose()
