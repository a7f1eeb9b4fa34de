"""Command line against a running service, with the fake trainer in place of the real one."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from espalier.client._sync.client import Client
from service.db import migrate
from service.settings import Settings
from tests.processes import ROOT, ModuleProcess
from tests.waiting import wait_until

TUNING = {"ESPALIER_RESCUE_SECONDS": "0.5", "ESPALIER_HEARTBEAT_SECONDS": "0.3", "ESPALIER_TERM_GRACE_SECONDS": "2"}


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/livez", timeout=1).is_success
    except httpx.TransportError:
        return False


class Service:
    """An API and a worker; the trainer behaves as the name of the model says."""

    def __init__(self, url: str) -> None:
        self.url = url

    def espalier(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "espalier.cli", *arguments, "--url", self.url],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )


@contextmanager
def service_in(folder: Path, stack: Mapping[str, str]) -> Iterator[Service]:
    environment = {"ESPALIER_DATA_DIR": str(folder / "data"), **TUNING, **stack}
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.set_inheritable(True)
        descriptor = listening.fileno()
        arguments = ["espalier.cli.api_process", str(descriptor)]
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with (
            ModuleProcess(arguments, environment, folder / "logs", "api", descriptors=(descriptor,)) as api,
            ModuleProcess(["tests.worker.fake_worker", "--concurrency", "1"], environment, folder / "logs", "worker"),
        ):
            wait_until(lambda: answers(url) or api.process.poll() is not None, what="the API")
            assert api.process.poll() is None, api.stderr
            yield Service(url)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("embedded")
    migrate.upgrade(Settings(data_dir=folder / "data").database_url)
    with service_in(folder, {}) as service:
        yield service


@pytest.fixture
def production(empty_postgres: str, redis_url: str, tmp_path: Path) -> Iterator[Service]:
    stack = {"ESPALIER_DATABASE_URL": empty_postgres, "ESPALIER_BROKER_URL": redis_url}
    with service_in(tmp_path, stack) as service:
        yield service


@pytest.mark.parametrize("stack", ["embedded", "production"])
def test_run_submits_watches_and_downloads(request: pytest.FixtureRequest, stack: str, tmp_path: Path) -> None:
    service: Service = request.getfixturevalue(stack)
    done = service.espalier("run", "fake/success", "sst2", "--sparsity", "0.5", "-o", str(tmp_path / "mine"), "--json")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "mine").read_bytes() == b"a mask"
    job = json.loads(done.stdout)
    assert (job["status"], job["spec"]["sparsity"]) == ("succeeded", 0.5)
    listed = service.espalier("jobs", "--json")
    assert json.loads(listed.stdout)[0]["id"] == job["id"]
    assert job["id"] in service.espalier("jobs").stdout
    again = service.espalier("download", job["id"], "report.json", "-o", str(tmp_path / "report"))
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "report").read_text() == "{}"


def test_a_failed_job_has_exit_code_1(embedded: Service) -> None:
    done = embedded.espalier("run", "fake/permanent", "sst2")
    assert done.returncode == 1
    assert "model: no head; take another (model_head_missing)" in done.stderr


def test_cancel_while_it_runs(embedded: Service) -> None:
    with Client(embedded.url) as client:
        job_id = embedded.espalier("submit", "fake/wait", "sst2").stdout.strip()
        wait_until(lambda: client.get(job_id).status == "running", what="the start")
        assert embedded.espalier("cancel", job_id).returncode == 0
        assert client.wait(job_id, timeout=20).status == "cancelled"
        assert embedded.espalier("watch", job_id).returncode == 1
        events = list(client.events(job_id))
        assert [event.seq for event in events] == list(range(1, len(events) + 1))


def test_a_refused_request_has_exit_code_2(embedded: Service) -> None:
    done = embedded.espalier("submit", "fake/success", "no-such-task")
    assert done.returncode == 2
    assert "no-such-task" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_pause_resume_and_retry(embedded: Service) -> None:
    with Client(embedded.url) as client:
        job_id = embedded.espalier("submit", "fake/wait", "sst2").stdout.strip()
        wait_until(lambda: client.get(job_id).status == "running", what="the start")
        assert "will be paused in a moment" in embedded.espalier("pause", job_id).stdout
        wait_until(lambda: client.get(job_id).status == "paused", what="the pause")
        assert embedded.espalier("resume", job_id).stdout.split() == [job_id, "queued"]
        wait_until(lambda: client.get(job_id).attempt == 2, what="the second run")
        client.cancel(job_id)
        client.wait(job_id, timeout=20)
        again = embedded.espalier("retry", job_id).stdout.strip()
        assert client.get(again).model_extra == {**(client.get(again).model_extra or {}), "retried_from": job_id}
