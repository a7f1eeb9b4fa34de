"""Commands of the images and of the compose file, in any working directory: another project's modules there are not imported."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import patient_http
from tests.foreign_project import make_project, project_environment
from tests.processes import ROOT, CommandProcess
from tests.services import free_port
from tests.waiting import wait_until

DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def image(target: str) -> tuple[list[str], list[str]]:
    """The command of an image, and that of its health check."""
    stage = DOCKERFILE[DOCKERFILE.index(f"FROM base AS {target}\n") :]
    command, probe = (re.search(pattern, stage) for pattern in (r"\nCMD (\[.*\])", r"HEALTHCHECK .* CMD (\[.*\])"))
    assert command is not None
    assert probe is not None
    return yaml.safe_load(command[1]), yaml.safe_load(probe[1])


@pytest.mark.parametrize(("target", "service"), [("api", "api"), ("worker", "worker"), ("worker", "worker-cpu")])
def test_the_compose_file_checks_the_health_of_its_images_as_they_do(target: str, service: str) -> None:
    assert SERVICES[service]["healthcheck"]["test"] == ["CMD", *image(target)[1]]
    assert "command" not in SERVICES[service]


def test_they_work_in_a_project_with_packages_named_like_ours(tmp_path: Path) -> None:
    project, port = make_project(tmp_path / "project"), str(free_port())
    environment = project_environment(project) | {
        "ESPALIER_DATA_DIR": str(tmp_path / "data"),
        "ESPALIER_REQUIRE_KEYS": "true",
        "ESPALIER_HUB_ENABLED": "false",
    }
    (tmp_path / "data").mkdir()

    def on_port(command: list[str]) -> list[str]:
        return [argument.replace("8000", port) for argument in command]

    def run(command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(on_port(command), cwd=project, env=environment, capture_output=True, text=True)

    def start(target: str) -> CommandProcess:
        return CommandProcess(on_port(image(target)[0]), environment, tmp_path / "logs", target, cwd=project)

    migrated = run(SERVICES["migrate"]["command"])
    assert migrated.returncode == 0, migrated.stderr
    assert run(image("api")[1]).returncode != 0
    assert run(image("worker")[1]).returncode == 1
    with start("api") as api, start("worker") as worker:
        worker.wait_for_line("is ready")
        wait_until(lambda: run(image("worker")[1]).returncode == 0, what="the worker's first heartbeat")
        wait_until(lambda: run(image("api")[1]).returncode == 0, what="the API")
        assert patient_http.get(f"http://127.0.0.1:{port}/v1/jobs").status_code == 401
        wait_until(lambda: patient_http.get(f"http://127.0.0.1:{port}/readyz").status_code == 200, what="readiness")
        for program in (api, worker):
            program.process.terminate()
        assert (api.wait(60), worker.wait(60)) == (-15, 0)


def test_a_worker_waits_for_its_database_with_the_option(tmp_path: Path) -> None:
    environment = project_environment(tmp_path) | {"ESPALIER_DATA_DIR": str(tmp_path / "data")}
    (tmp_path / "data").mkdir()
    command = image("worker")[0]
    assert command[-1] == "--wait"
    with CommandProcess(command, environment, tmp_path, "waiting", cwd=tmp_path) as worker:
        worker.wait_for_line("espalier db upgrade")
        worker.wait_for_line("worker with 1 slots")
        subprocess.run(SERVICES["migrate"]["command"], cwd=tmp_path, env=environment, check=True, capture_output=True)
        worker.wait_for_line("is ready")
        probe = image("worker")[1]
        wait_until(
            lambda: subprocess.run(probe, cwd=tmp_path, env=environment, capture_output=True).returncode == 0,
            what="the worker's first heartbeat",
        )
