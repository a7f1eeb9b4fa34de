"""The real worker process: wake-up messages, shutdown and sudden death, embedded and in production."""

import json
import signal
from pathlib import Path

import pytest
from celery import Celery

from service import broker
from service.db.engine import Database
from service.db.models import Job
from service.jobs import heartbeats, queries
from service.settings import Settings
from service.states import Status
from tests.processes import ModuleProcess, is_alive
from tests.services import free_port
from tests.waiting import wait_until
from tests.worker.conftest import submit

FAST = {"LEASE_SECONDS": 3, "HEARTBEAT_SECONDS": 0.3, "RESCUE_SECONDS": 0.5, "RETRY_DELAY_SECONDS": 0, "TERM_GRACE_SECONDS": 3}
SLOW_RESCUE = {**FAST, "RESCUE_SECONDS": 60}


class Cluster:
    """A database, a broker, and worker processes."""

    def __init__(self, settings: Settings, database: Database, folder: Path) -> None:
        self.settings, self.database, self._folder = settings, database, folder
        self.broker_app: Celery = broker.celery_app(settings)
        self._started = 0

    def start_worker(self, behaviour: str, tuning: dict[str, float] = FAST) -> ModuleProcess:
        self._started += 1
        environment = {f"ESPALIER_{name}": str(value) for name, value in tuning.items()} | {
            "ESPALIER_DATA_DIR": str(self.settings.data_dir),
            "ESPALIER_DATABASE_URL": self.settings.database_url,
            "ESPALIER_BROKER_URL": self.settings.broker_url,
            "FAKE_TRAINER": behaviour,
        }
        name = f"worker-{self._started}"
        return ModuleProcess(["tests.worker.fake_worker", "--concurrency", "1"], environment, self._folder, name)

    def job(self, job_id: str) -> Job:
        with self.database.read() as session:
            return queries.get(session, job_id)

    def wait_for_status(self, job_id: str, status: Status) -> Job:
        wait_until(lambda: self.job(job_id).status is status, seconds=30, what=f"{job_id} {status}")
        return self.job(job_id)

    def trainer(self, job_id: str, file: str = "started") -> int:
        path = self.settings.data_dir / "work" / job_id / file
        return int(wait_until(lambda: path.exists() and path.read_text(), what="the trainer"))

    def live_workers(self) -> int:
        with self.database.read() as session:
            return len(heartbeats.live_workers(session, within_seconds=60))


@pytest.fixture
def cluster(request: pytest.FixtureRequest, settings: Settings, database: Database, tmp_path: Path) -> Cluster:
    """SQLite and files, or PostgreSQL and Redis."""
    if not settings.database_url.startswith("sqlite"):
        settings = settings.model_copy(update={"broker_url": request.getfixturevalue("redis_url")})
    return Cluster(settings, database, tmp_path / "logs")


def test_a_notification_starts_jobs_until_the_queue_is_empty(cluster: Cluster) -> None:
    first, second = submit(cluster.database), submit(cluster.database)
    with cluster.start_worker("success", SLOW_RESCUE) as worker:
        worker.wait_for_line("is ready")
        broker.notify_workers(cluster.broker_app)
        cluster.wait_for_status(first, Status.SUCCEEDED)
        cluster.wait_for_status(second, Status.SUCCEEDED)
        lines = [json.loads(line) for line in worker.stderr.splitlines()]
        about = [(line["attempt"], line["level"]) for line in lines if line.get("job_id") == first]
        assert (1, "info") in about


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_job_without_a_notification_is_run(cluster: Cluster) -> None:
    with cluster.start_worker("success") as worker:
        worker.wait_for_line("is ready")
        cluster.wait_for_status(submit(cluster.database), Status.SUCCEEDED)


def test_sigterm_requeues_the_job_and_exits(cluster: Cluster) -> None:
    job_id = submit(cluster.database)
    with cluster.start_worker("wait") as worker:
        trainer = cluster.trainer(job_id)
        assert cluster.live_workers() == 1
        worker.signal(signal.SIGTERM)
        assert worker.wait(seconds=30) == 0
        job = cluster.job(job_id)
        assert (job.status, job.attempts_spent) == (Status.QUEUED, 0)
        assert not is_alive(trainer)
        assert cluster.live_workers() == 0


def test_a_killed_worker_leaves_no_orphan_and_loses_no_job(cluster: Cluster) -> None:
    """Even a trainer that ignores signals and its input ends with its worker; another worker takes the job."""
    job_id = submit(cluster.database)
    with cluster.start_worker("deaf") as worker:
        trainer = cluster.trainer(job_id, "deaf")
        worker.signal(signal.SIGKILL)
        wait_until(lambda: not is_alive(trainer), seconds=30, what="the end of the orphan")
    with cluster.start_worker("success"):
        job = cluster.wait_for_status(job_id, Status.SUCCEEDED)
    assert (job.attempt, job.attempts_spent) == (2, 1)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_worker_without_its_broker_runs_jobs_and_stops_at_sigterm(cluster: Cluster) -> None:
    cluster.settings = cluster.settings.model_copy(update={"broker_url": f"redis://127.0.0.1:{free_port()}/0"})
    with cluster.start_worker("success") as worker:
        cluster.wait_for_status(submit(cluster.database), Status.SUCCEEDED)
        assert cluster.live_workers() == 1
        worker.signal(signal.SIGTERM)
        assert worker.wait(seconds=30) == 0
        assert cluster.live_workers() == 0
