"""Confinement in a running service: real trainers and upload parsers, and what they can read of worker and API."""

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pruning.processes.confinement import child_environment
from service.db.engine import Database
from service.db.models import Job
from service.jobs import commands, queries
from service.states import Status
from tests import patient_http, toy_datasets, toy_models
from tests.other_users import SERVICE, TRAINER, as_user, environment, may_read, open_folder
from tests.processes import CommandProcess, children
from tests.pruning.runs import spec_of
from tests.services import free_port
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv"),
    pytest.mark.timeout(600),
]
SECRETS = {"ESPALIER_SECRET_KEY": "a2V5", "AWS_SECRET_ACCESS_KEY": "hush", "GITHUB_TOKEN": "hush"}
ALWAYS = {"OMP_WAIT_POLICY", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "ARROW_DEFAULT_MEMORY_POOL", "PYTHONUTF8"}
FAST = {"LEASE_SECONDS": 30, "HEARTBEAT_SECONDS": 0.3, "RESCUE_SECONDS": 0.5, "WORKER_SEEN_SECONDS": 30}


class Service:
    """Programs of a service on PostgreSQL, as users like those of the images."""

    def __init__(self, folder: Path, database: Database, url: str) -> None:
        given = environment()
        if given is None:
            pytest.skip("no Python that other users can run")
        self.folder, self.database, self.python = folder, database, given["PYTHON"]
        self.data, self.url_file = folder / "data", folder / "database_url"
        self.url_file.write_text(url)
        self.url_file.chmod(0o600)
        toy_models.make_model(folder / "models" / "bert")
        toy_datasets.make_opinions(folder / "datasets" / "sst2")
        for file in (folder / "models" / "bert").iterdir():
            file.chmod(0o644)  # operators let their trainers read the models
        self.data.mkdir(mode=0o700)
        os.chown(self.data, SERVICE, SERVICE)
        settings = {
            "DATABASE_URL_FILE": self.url_file,
            "BROKER_URL": "filesystem://",
            "DATA_DIR": self.data,
            "HUB_ENABLED": False,
            "MODELS_DIR": folder / "models",
            "DATASETS_DIR": folder / "datasets",
            "RUN_AS": f"{SERVICE}:{SERVICE}",
            "TRAINER_NICE": 0,
            **FAST,
        }
        self.environment = given | SECRETS | {f"ESPALIER_{name}": str(value) for name, value in settings.items()}

    def start(self, *command: str, **variables: Any) -> CommandProcess:
        # ("env", "-i": the tests' own variables do not get in)
        given = {**self.environment, **{name: str(value) for name, value in variables.items()}}
        listed = [f"{name}={value}" for name, value in given.items()]
        started = ["setpriv", "--no-new-privs", "env", "-i", *listed, self.python, "-P", "-m", "espalier.cli", *command]
        return CommandProcess(started, {}, self.folder / "logs", command[0], cwd=Path("/"))

    def submit(self) -> str:
        spec = spec_of(max_steps=100_000, checkpoint_every=1).model_dump(mode="json")
        with self.database.write() as session:
            return commands.create(session, spec=spec, metadata={}, priority=0, max_duration=None).id

    def job(self, job_id: str) -> Job:
        with self.database.read() as session:
            return queries.get(session, job_id)

    def wait_for_step(self, job_id: str, step: int) -> None:
        wait_until(
            lambda: (self.job(job_id).step or 0) >= step,
            seconds=240,
            what=lambda: f"step {step} of {self.job(job_id).phase}: {self.logs()}",
        )

    def logs(self) -> str:
        return "".join(file.read_text() for file in (self.folder / "logs").iterdir())


@pytest.fixture
def service(empty_postgres: str) -> Iterator[Service]:
    database = Database(empty_postgres)
    with open_folder() as folder:
        yield Service(folder, database, empty_postgres)
    database.dispose()


def child_of(parent: int, words: str) -> int:
    """Process number of the child whose command line holds ``words``, once it has become that program."""

    def found() -> int | None:
        for pid in children(parent):
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
            except FileNotFoundError:  # a short one, for instance the worker's look for GPUs
                continue
            if words.encode() in command and b"parent_watchdog" not in command:
                return pid
        return None

    return wait_until(found, seconds=120, what=words) or 0


def status(pid: int, name: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:"))


def limit(pid: int, name: str) -> str:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return next(line.removeprefix(name).split()[0] for line in lines if line.startswith(name))


def assert_environment_is_allowed(pid: int, *more: str) -> None:
    """Names that the list of :mod:`pruning.processes.confinement` has, or that the parent sets itself."""
    entries = Path(f"/proc/{pid}/environ").read_bytes().decode().strip("\0").split("\0")
    given = dict(entry.split("=", 1) for entry in entries)
    assert set(given) - set(child_environment(given, {})) <= ALWAYS.union(more)
    assert not [name for name in given if name.startswith(("ESPALIER_", "AWS_"))]
    assert "hush" not in str(given)


def test_trainers_of_another_user_have_their_files_and_nothing_else(service: Service) -> None:
    job_id, user = service.submit(), {"ESPALIER_TRAINER_USER": f"{TRAINER}:{TRAINER}"}
    with service.start("worker", **user) as worker:
        pid = worker.process.pid
        trainer = child_of(pid, "pruning\0train")
        assert status(pid, "Uid").split() == [str(SERVICE)] * 4
        assert status(trainer, "Uid").split() == status(trainer, "Gid").split() == [str(TRAINER)] * 4
        assert status(trainer, "Groups") == ""
        assert {status(trainer, name) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
        assert limit(trainer, "Max core file size") == "0"
        assert_environment_is_allowed(trainer)
        service.wait_for_step(job_id, 2)
        work = service.data / "work" / job_id / f"attempt-{service.job(job_id).attempt}"
        (service.data / "secret.key").touch(mode=0o600)
        closed: list[str | Path] = [
            f"/proc/{pid}/environ",
            f"/proc/{pid}/maps",
            service.url_file,
            service.data,
            service.data / "secret.key",
        ]
        closed += [service.data / "work", service.data / "datasets", service.data / "broker", work.parent]
        assert [str(file) for file in closed if may_read(TRAINER, file)] == []
        assert may_read(TRAINER, work / "spec.json")
        assert may_read(TRAINER, f"{work}/checkpoints/")
        with service.database.write() as session:
            commands.request_pause(session, job_id)
        wait_until(lambda: service.job(job_id).status is Status.PAUSED, what=lambda: f"the pause: {service.logs()}")
        reached = service.job(job_id).step or 0
        with service.database.write() as session:
            commands.resume(session, job_id)
        service.wait_for_step(job_id, reached + 1)
        trainer = child_of(pid, "pruning\0train")
        closed_folder = work.parent / "attempt-2" / "closed"
        closed_folder.mkdir(mode=0o700)
        (closed_folder / "file").touch()
        for path in (closed_folder, closed_folder / "file"):
            os.chown(path, TRAINER, TRAINER)
        with service.database.write() as session:
            commands.request_cancel(session, job_id)
        wait_until(lambda: not work.parent.exists(), what=lambda: f"the removal of all files: {service.logs()}")
        assert service.job(job_id).status is Status.CANCELLED


@pytest.mark.parametrize(("user", "reason"), [(TRAINER, "capabilities SETUID, SETGID and KILL"), (SERVICE, "own user")])
def test_a_worker_that_cannot_start_such_trainers_does_not_start(service: Service, user: int, reason: str) -> None:
    variables = {name: value for name, value in service.environment.items() if "DATABASE_URL" not in name}
    variables["ESPALIER_TRAINER_USER"] = f"{user}:{user}"
    refused = as_user(SERVICE, [service.python, "-P", "-m", "worker"], variables)
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith(f"espalier: ESPALIER_TRAINER_USER={user}:{user} is ")
    assert reason in refused.stderr


def test_trainers_of_the_same_user_read_no_memory_of_their_worker(service: Service) -> None:
    service.submit()
    with service.start("worker") as worker:
        trainer = child_of(worker.process.pid, "pruning\0train")
        assert status(trainer, "Uid") == status(worker.process.pid, "Uid")
        assert b"a2V5" in Path(f"/proc/{worker.process.pid}/environ").read_bytes(), "there is something to find"
        assert not may_read(SERVICE, f"/proc/{worker.process.pid}/environ")
        assert not may_read(SERVICE, f"/proc/{worker.process.pid}/maps")
        assert may_read(SERVICE, f"/proc/{trainer}/environ"), "the same of what is not closed"
        assert_environment_is_allowed(trainer)


def test_upload_parsers_have_limits_and_read_no_memory_of_the_api(service: Service) -> None:
    port = free_port()
    rows = "".join(f'{{"text": "row {number}", "label": {number % 2}}}\n' for number in range(300_000))

    def upload() -> None:
        httpx.post(f"http://127.0.0.1:{port}/v1/datasets", files={"train": ("a.jsonl", rows)}, timeout=120)

    with service.start("api", "--port", str(port)) as api:
        pid = api.process.pid
        wait_until(
            lambda: patient_http.get(f"http://127.0.0.1:{port}/livez").is_success if listens(port) else False, what="the API"
        )
        sender = threading.Thread(target=upload, daemon=True)
        sender.start()
        parser = child_of(pid, "api.uploads.child")
        wait_until(lambda: limit(parser, "Max data size") != "unlimited", what="the limits of the parser")
        os.kill(parser, signal.SIGSTOP)
        assert status(parser, "Uid").split()[0] == str(SERVICE)
        assert (limit(parser, "Max data size"), limit(parser, "Max cpu time")) == (str(1024**3), "600")
        assert limit(parser, "Max core file size") == "0"
        assert_environment_is_allowed(parser)
        assert b"a2V5" in Path(f"/proc/{pid}/environ").read_bytes()
        assert not may_read(SERVICE, f"/proc/{pid}/environ")
        assert may_read(SERVICE, f"/proc/{parser}/environ")
        os.kill(parser, signal.SIGCONT)
        sender.join(120)


def listens(port: int) -> bool:
    try:
        httpx.get(f"http://127.0.0.1:{port}/livez")
    except httpx.TransportError:
        return False
    return True
