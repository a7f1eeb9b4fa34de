"""The real worker process under Celery: bells, shutdown, sudden death; embedded and production."""

import json
import signal
from pathlib import Path

import pytest
from celery import Celery

from service import broker
from service.db.engine import Database
from service.db.models import Job
from service.jobs import commands, heartbeats
from service.settings import Settings
from service.states import Status
from tests.processes import Program, alive
from tests.waiting import until
from tests.worker.conftest import submit

BRISK = {
    "LEASE_SECONDS": 3,
    "HEARTBEAT_SECONDS": 0.3,
    "RESCUE_SECONDS": 0.5,
    "RETRY_DELAY_SECONDS": 0,
    "TERM_GRACE_SECONDS": 3,
}
SLOW_RESCUE = {**BRISK, "RESCUE_SECONDS": 60}


class Site:
    """A database, a broker, and workers started on them."""

    def __init__(self, settings: Settings, database: Database, folder: Path) -> None:
        self.settings, self.database, self._folder = settings, database, folder
        self.bell: Celery = broker.celery_app(settings)
        self._started = 0

    def worker(self, behaviour: str, tuning: dict[str, float] = BRISK) -> Program:
        self._started += 1
        environment = {f"ESPALIER_{name}": str(value) for name, value in tuning.items()} | {
            "ESPALIER_DATA_DIR": str(self.settings.data_dir),
            "ESPALIER_DATABASE_URL": self.settings.database_url,
            "ESPALIER_BROKER_URL": self.settings.broker_url,
            "FAKE_TRAINER": behaviour,
        }
        command = [
            "celery",
            "--quiet",
            "-A",
            "tests.worker.fake_worker",
            "worker",
            "--pool",
            "threads",
            "--concurrency",
            "1",
        ]
        return Program([*command, "--loglevel", "INFO"], environment, self._folder, f"worker-{self._started}")

    def job(self, job_id: str) -> Job:
        with self.database.read() as session:
            return commands.get(session, job_id)

    def becomes(self, job_id: str, status: Status) -> Job:
        until(lambda: self.job(job_id).status is status, seconds=30, what=f"{job_id} {status}")
        return self.job(job_id)

    def trainer(self, job_id: str, file: str = "started") -> int:
        path = self.settings.data_dir / "work" / job_id / file
        return int(until(lambda: path.exists() and path.read_text(), what="the trainer"))

    def live_workers(self) -> int:
        with self.database.read() as session:
            return len(heartbeats.live(session, within_seconds=60))


@pytest.fixture
def site(request: pytest.FixtureRequest, settings: Settings, database: Database, tmp_path: Path) -> Site:
    """SQLite and files, or PostgreSQL and Redis."""
    if not settings.database_url.startswith("sqlite"):
        settings = settings.model_copy(update={"broker_url": request.getfixturevalue("redis_url")})
    return Site(settings, database, tmp_path / "logs")


def test_a_bell_starts_jobs_until_none_is_left(site: Site) -> None:
    first, second = submit(site.database), submit(site.database)
    with site.worker("success", SLOW_RESCUE) as worker:
        worker.says("is ready")
        broker.ring(site.bell)
        site.becomes(first, Status.SUCCEEDED)
        site.becomes(second, Status.SUCCEEDED)
        lines = [json.loads(line) for line in worker.err.splitlines() if line.startswith("{")]
        about = [(line["attempt"], line["level"]) for line in lines if line.get("job") == first]
        assert (1, "info") in about


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_job_that_nobody_rang_for_is_run_all_the_same(site: Site) -> None:
    with site.worker("success") as worker:
        worker.says("is ready")
        site.becomes(submit(site.database), Status.SUCCEEDED)


def test_term_hands_the_job_back_and_leaves(site: Site) -> None:
    job_id = submit(site.database)
    with site.worker("wait") as worker:
        trainer = site.trainer(job_id)
        assert site.live_workers() == 1
        worker.signal(signal.SIGTERM)
        assert worker.ended(seconds=30) == 0
        job = site.job(job_id)
        assert (job.status, job.attempts_spent) == (Status.QUEUED, 0)
        assert not alive(trainer)
        assert site.live_workers() == 0


def test_sudden_death_leaves_no_orphan_and_loses_no_job(site: Site) -> None:
    """Even a trainer that hears no signal and reads no input ends with its worker; another worker takes the job."""
    job_id = submit(site.database)
    with site.worker("deaf") as worker:
        trainer = site.trainer(job_id, "deaf")
        worker.signal(signal.SIGKILL)
        until(lambda: not alive(trainer), seconds=30, what="the end of the orphan")
    with site.worker("success"):
        job = site.becomes(job_id, Status.SUCCEEDED)
    assert (job.attempt, job.attempts_spent) == (2, 1)
