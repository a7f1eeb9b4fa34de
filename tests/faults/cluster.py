"""Cluster for fault tests: database, broker, API and worker processes, each of which can be killed and restarted."""

import os
import shutil
import signal
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text, update

from pruning import failpoints as trainer_failpoints
from service import broker, failpoints
from service.db import migrate
from service.db.clock import now_sql
from service.db.engine import Database
from service.db.models import Job
from service.jobs import commands, queries
from service.settings import Settings
from service.states import TERMINAL, Status
from tests.faults import invariants
from tests.faults.prefork_server import ForkedProcess, PreforkServer
from tests.services import free_port
from tests.waiting import wait_until

FAST: dict[str, Any] = {
    "lease_seconds": 20.0,
    "heartbeat_seconds": 0.2,
    "rescue_seconds": 0.3,
    "retry_delay_seconds": 0.0,
    "term_grace_seconds": 5.0,
    "chunk_bytes": 4096,
    "trainer_threads": 1,
}
"""Leases are long, because a busy machine must not lose one; ``Cluster.expire_leases`` ends them where a test needs it."""
Failpoint = failpoints.Failpoint | trainer_failpoints.Failpoint


@dataclass(frozen=True)
class Stack:
    """A database and a broker."""

    name: str
    database_url: str
    broker_url: str = "filesystem://"


class Cluster:
    """One service. ``close`` ends everything that was started."""

    def __init__(self, stack: Stack, folder: Path, prefork_server: PreforkServer, **tuning: Any) -> None:
        self.settings = Settings(
            data_dir=folder / "data", database_url=stack.database_url, broker_url=stack.broker_url, **{**FAST, **tuning}
        )
        self.database = Database(stack.database_url)
        self.accepted: list[str] = []
        self.url = f"http://127.0.0.1:{free_port()}"
        self._folder, self._server = folder, prefork_server
        self._started: list[ForkedProcess] = []

    def start_worker(self, at: Failpoint | None = None, **environment: str) -> ForkedProcess:
        """A worker; with ``at``, it or one of its trainers is killed at that point, once."""
        return self._start("tests.worker.fake_worker", [], at, environment, "worker")

    def start_api(self, at: Failpoint | None = None, **environment: str) -> ForkedProcess:
        """The API, once it responds."""
        port = self.url.rpartition(":")[2]
        arguments = ["--factory", "api.app:create_app", "--host", "127.0.0.1", "--port", port, "--log-level", "warning"]
        api = self._start("uvicorn", arguments, at, environment, "api")
        wait_until(lambda: self._api_responds() or api.exit_code is not None, what=lambda: f"the API: {api.output}")
        assert api.exit_code is None, api.output
        return api

    def request(self, method: str, path: str, **options: Any) -> httpx.Response | None:
        """A response of the API; None where the connection broke."""
        try:
            return httpx.request(method, f"{self.url}{path}", timeout=30, **options)
        except httpx.TransportError:
            return None

    def post(self, behaviour: str = "steady", key: str | None = None) -> str | None:
        """Submit by HTTP: the id of an accepted job, None where no response came."""
        headers = {"Idempotency-Key": key} if key is not None else {}
        response = self.request("POST", "/v1/jobs", json={"model": f"fake/{behaviour}", "task": "sst2"}, headers=headers)
        if response is None or response.status_code != 202:
            return None
        self.accepted.append(response.json()["id"])
        return self.accepted[-1]

    def submit(self, behaviour: str = "steady", **fields: Any) -> str:
        """Submit without an API and without a notification."""
        spec = {"model": f"fake/{behaviour}", "task": "sst2"}
        with self.database.write() as session:
            self.accepted.append(commands.create(session, **{"spec": spec, **fields}).id)
        return self.accepted[-1]

    def notify_workers(self, times: int = 1) -> None:
        app = broker.celery_app(self.settings)
        for _ in range(times):
            broker.notify_workers(app)

    def write(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Call a function of ``service`` in a transaction of its own."""
        with self.database.write() as session:
            return function(session, *arguments, **options)

    def job(self, job_id: str) -> Job:
        with self.database.read() as session:
            return queries.get(session, job_id)

    def event_types(self, job_id: str) -> list[str]:
        with self.database.read() as session:
            return [event.type for event in queries.events(session, job_id)]

    def wait_for_status(self, job_id: str, *statuses: Status, seconds: float = 60) -> Job:
        def what() -> str:
            return f"{job_id} {' or '.join(statuses)}: {self.logs()}"

        wait_until(lambda: self.job(job_id).status in statuses, seconds=seconds, what=what)
        return self.job(job_id)

    def trainer_pid(self, job_id: str, attempt: int | None = None) -> int:
        """Process number of the job's trainer (of that attempt), once it runs."""
        where = self.settings.data_dir / "work" / job_id / (f"attempt-{attempt}" if attempt else "attempt-")

        def found() -> list[int]:
            return [pid for pid in invariants.processes_under(where) if b"parent_watchdog" not in command_line(pid)]

        return wait_until(found, seconds=30, what=lambda: f"the trainer of {job_id}: {self.logs()}")[0]

    def expire_leases(self, *job_ids: str) -> None:
        """Let the leases of the jobs (default: all running ones) expire, as if the time had passed."""
        with self.database.write() as session:
            late = update(Job).where(Job.status == Status.RUNNING).values(lease_expires_at=now_sql(-1))
            session.execute(late.where(Job.id.in_(job_ids)) if job_ids else late)

    def finish(self, seconds: float = 90) -> invariants.Violations:
        """Wait until every job has ended and its files are removed; the violations found then."""
        wait_until(self._all_ended, seconds=seconds, what=lambda: f"the end of all jobs: {self._open_jobs()} {self.logs()}")
        folders = (self.settings.data_dir / "work", *filter(None, [self.settings.checkpoint_dir]))
        wait_until(lambda: not invariants.leftovers(*folders), what=lambda: f"the removal of {invariants.leftovers(*folders)}")
        found = invariants.find_violations(self.database, self.accepted, max_attempts=self.settings.max_attempts)
        self.kill()  # a graceful exit takes a worker of the filesystem broker three seconds, and hides orphans
        wait_until(lambda: not invariants.processes_under(self.settings.data_dir / "work"), what="the end of all trainers")
        return found

    def logs(self) -> str:
        """The last output of every process."""
        return "\n".join(f"--- {file.name}\n{file.read_text()[-1500:]}" for file in sorted(self._logs.glob("*.out")))

    def stop(self) -> None:
        """SIGTERM to every process that still runs."""
        running = [process for process in self._started if process.exit_code is None]
        for process in running:
            process.signal(signal.SIGCONT)
            process.signal(signal.SIGTERM)
        for process in running:
            process.wait()

    def kill(self) -> None:
        """Kill every process that still runs."""
        for process in self._started:
            if process.exit_code is None:
                process.kill()

    def close(self) -> None:
        """End what is left, even what should not be there."""
        self.kill()
        for pid in invariants.processes_under(self.settings.data_dir):
            os.kill(pid, signal.SIGKILL)
        self.database.dispose()

    @property
    def _logs(self) -> Path:
        return self._folder / "logs"

    def _start(
        self, module: str, arguments: Iterable[str], at: Failpoint | None, environment: Mapping[str, str], name: str
    ) -> ForkedProcess:
        variables = {f"ESPALIER_{key.upper()}": str(value) for key, value in self.settings if value is not None}
        if at is not None:
            variables |= {failpoints.AT: at, failpoints.ONCE: str(self._folder / f"killed-at-{at}")}
        out = self._logs / f"{name}-{len(self._started)}.out"
        self._started.append(self._server.start(module, list(arguments), {**variables, **environment}, out))
        return self._started[-1]

    def freeze_worker_at(self, point: Failpoint) -> ForkedProcess:
        """A worker that is stopped by SIGSTOP at ``point``."""
        worker = self.start_worker(point, **{failpoints.WITH: "SIGSTOP"})
        wait_until(lambda: worker.is_stopped, seconds=60, what=lambda: f"a stop at {point}: {self.logs()}")
        return worker

    def was_killed_at(self, point: Failpoint) -> bool:
        """Whether a process was killed there."""
        return (self._folder / f"killed-at-{point}").exists()

    def _api_responds(self) -> bool:
        try:
            return httpx.get(f"{self.url}/livez", timeout=2).is_success
        except httpx.TransportError:
            return False

    def _open_jobs(self) -> list[str]:
        with self.database.read() as session:
            listed, _ = queries.page(session, limit=1000)
            return [job_id for job_id in listed if queries.get(session, job_id).status not in TERMINAL]

    def _all_ended(self) -> bool:
        return not self._open_jobs()


def command_line(pid: int) -> bytes:
    """The arguments that a process was started with."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def empty_database(stack: Stack, template: Path | None = None) -> None:
    """Make a migrated database without rows."""
    if template is not None:
        shutil.copy(template, stack.database_url.removeprefix("sqlite:///"))
        return
    migrate.upgrade(stack.database_url)
    database = Database(stack.database_url)
    with database.write() as session:
        for table in ("jobs", "workers", "answers"):
            session.execute(text(f"DELETE FROM {table}"))
    database.dispose()
