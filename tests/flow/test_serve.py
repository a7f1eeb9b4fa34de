"""``espalier serve`` from start to stop: readiness, restart of children, shutdown, no process left behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests import patient_http
from tests.processes import ROOT, ModuleProcess, children, is_alive
from tests.waiting import wait_until

READY = re.compile(r"Espalier listens on (http://127\.0\.0\.1:\d+) \(data in (.+)\)")


def serve(folder: Path, *options: str, **more: str) -> ModuleProcess:
    arguments = ["espalier.cli", "serve", "--port", "0", "--data-dir", str(folder / "data"), *options]
    environment = {"ESPALIER_RESCUE_SECONDS": "1", "ESPALIER_TERM_GRACE_SECONDS": "3", **more}
    return ModuleProcess(arguments, environment, folder, "serve")


def url_of(program: ModuleProcess) -> str:
    found = READY.fullmatch(program.wait_for_line("Espalier listens on"))
    assert found is not None
    return found[1]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ModuleProcess]:
    with serve(tmp_path) as program:
        yield program


def test_it_becomes_ready_and_stops_on_sigint(service: ModuleProcess, tmp_path: Path) -> None:
    url = url_of(service)
    assert service.stdout.strip() == f"Espalier listens on {url} (data in {tmp_path}/data)"
    assert patient_http.get(f"{url}/readyz").status_code == 200
    service.wait_for_line("  stop   Ctrl-C")
    assert f"  page   {url}/" in service.stderr
    service.wait_for_line("is ready: 1 slots")  # the worker's own line, as text
    assert "{" not in service.stderr
    assert (tmp_path / "data" / "espalier.db").exists()
    processes = children(service.process.pid)
    assert len(processes) == 2
    service.signal(signal.SIGINT)
    assert service.wait() == 0
    assert not any(map(is_alive, processes))
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{url}/livez")


def test_a_child_that_is_killed_is_restarted_on_the_same_port(tmp_path: Path) -> None:
    """With JSON as the format of its log, which the lines of serve itself have then, too."""
    with serve(tmp_path, ESPALIER_LOG_FORMAT="json") as service:
        url = url_of(service)
        before = children(service.process.pid)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        service.wait_for_line("the API process ended (signal 9)")
        service.wait_for_line("the worker process ended (signal 9)")
        wait_until(lambda: len(set(children(service.process.pid)) - set(before)) == 2, what="two new processes")
        wait_until(lambda: answers(f"{url}/livez"), what="the API")
        wait_until(lambda: answers(f"{url}/readyz"), what="readiness")
        service.signal(signal.SIGINT)
        assert service.wait() == 0
        assert {json.loads(line)["role"] for line in service.stderr.splitlines()} == {"serve", "api", "worker"}


def answers(url: str) -> bool:
    """Whether it does with 200; not where the connection went down with a process that was killed."""
    try:
        return httpx.get(url, timeout=20).status_code == 200
    except httpx.TransportError:
        return False


def test_api_and_worker_end_with_a_killed_serve(service: ModuleProcess) -> None:
    url_of(service)
    processes = children(service.process.pid)
    service.signal(signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, processes)), seconds=30, what="the end of API and worker")


def test_a_port_in_use_is_an_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with serve(tmp_path, "--port", str(port)) as program:
            assert program.wait() == 1
            assert f"port {port} of 127.0.0.1" in program.stderr


def test_beyond_loopback_requests_need_a_key(tmp_path: Path) -> None:
    with serve(tmp_path, "--host", "0.0.0.0") as program:
        ready = re.compile(r"Espalier listens on http://0\.0\.0\.0:(\d+) ").match(program.wait_for_line("Espalier listens on"))
        assert ready is not None
        url, data = f"http://127.0.0.1:{ready[1]}", str(tmp_path / "data")
        assert f"espalier keys create NAME --data-dir {data}" in program.stderr
        assert patient_http.get(f"{url}/v1/jobs").status_code == 401
        command = [sys.executable, "-m", "espalier.cli", "keys", "create", "first", "--data-dir", data]
        key = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout.strip()
        assert patient_http.get(f"{url}/v1/jobs", headers={"Authorization": f"Bearer {key}"}).status_code == 200
        assert key not in program.stderr


def test_it_refuses_to_listen_beyond_loopback_without_keys(tmp_path: Path) -> None:
    arguments = ["espalier.cli", "serve", "--host", "0.0.0.0", "--port", "0", "--data-dir", str(tmp_path / "data")]
    with ModuleProcess(arguments, {"ESPALIER_REQUIRE_KEYS": "false"}, tmp_path, "serve") as program:
        assert program.wait() == 2
        assert "ESPALIER_REQUIRE_KEYS=false" in program.stderr


def test_invalid_settings_are_an_error(tmp_path: Path) -> None:
    arguments = ["espalier.cli", "serve", "--port", "0", "--data-dir", str(tmp_path / "data")]
    with ModuleProcess(arguments, {"ESPALIER_LEASE_SECONDS": "1"}, tmp_path, "serve") as program:
        assert program.wait() == 2
        assert "heartbeat_seconds" in program.stderr
