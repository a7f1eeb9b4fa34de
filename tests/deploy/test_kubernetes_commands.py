"""The commands, environment and probes of the Kubernetes manifests start real processes on PostgreSQL and Redis."""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests import patient_http
from tests.deploy.test_kubernetes import of_kind, pod_of
from tests.foreign_project import project_environment
from tests.processes import CommandProcess
from tests.services import free_port
from tests.waiting import wait_until

LINKS = {"ESPALIER_PORT": "tcp://10.0.0.1:80", "ESPALIER_SERVICE_HOST": "10.0.0.1", "ESPALIER_SERVICE_PORT_HTTP": "80"}
"""What a cluster sets where enableServiceLinks is left as it is; processes must bear it all the same."""


def container(kind: str, name: str) -> dict[str, Any]:
    (found,) = pod_of(of_kind("small", kind)[name])["containers"]
    return dict(found)


@dataclass
class Node:
    """Runs containers as processes of this machine, with volumes in ``folder``."""

    folder: Path
    secrets: dict[str, str]
    port: int = field(default_factory=free_port)

    def environment(self, of: dict[str, Any]) -> dict[str, str]:
        given = dict(of_kind("small", "ConfigMap")["espalier"]["data"]) if "envFrom" in of else {}
        for entry in of["env"]:
            reference = entry.get("valueFrom", {}).get("secretKeyRef", {})
            given[entry["name"]] = self.secrets[reference["key"]] if reference else entry["value"]
        image = {"ESPALIER_DATA_DIR": f"{self.folder}/data", "ESPALIER_CHECKPOINT_DIR": f"{self.folder}/checkpoints"}
        return project_environment(self.folder) | image | LINKS | given | {"ESPALIER_HUB_ENABLED": "false"}

    def start(self, of: dict[str, Any]) -> CommandProcess:
        command = [argument.replace("8000", str(self.port)) for argument in of["args"]]
        return CommandProcess(command, self.environment(of), self.folder / "logs", of["name"], cwd=self.folder)

    def succeeds(self, of: dict[str, Any], probe: dict[str, Any]) -> bool:
        """Whether a probe of a container does now."""
        if "exec" in probe:
            command, given = probe["exec"]["command"], self.environment(of)
            return subprocess.run(command, cwd=self.folder, env=given, capture_output=True).returncode == 0
        assert of["ports"] == [{"name": probe["httpGet"]["port"], "containerPort": 8000}]
        try:
            return patient_http.get(f"http://127.0.0.1:{self.port}{probe['httpGet']['path']}").is_success
        except httpx.TransportError:
            return False


def test_migration_api_and_worker_start(postgres_url: str, redis_url: str, tmp_path: Path) -> None:
    key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    node = Node(tmp_path, {"database-url": postgres_url, "broker-url": redis_url, "secret-key": key})
    for name in ("data", "checkpoints"):
        (tmp_path / name).mkdir()
    migrate = container("Job", "espalier-migrate")
    api, worker = container("Deployment", "espalier-api"), container("Deployment", "espalier-worker-cpu")
    with node.start(migrate) as migrating:
        assert migrating.wait(120) == 0, migrating.stderr
    with node.start(api) as served, node.start(worker) as works:
        works.wait_for_line("is ready", seconds=120)
        for of, name in ((api, "startupProbe"), (api, "livenessProbe"), (api, "readinessProbe"), (worker, "livenessProbe")):
            wait_until(lambda of=of, name=name: node.succeeds(of, of[name]), what=name)  # type: ignore[misc]
        assert patient_http.get(f"http://127.0.0.1:{node.port}/v1/jobs").status_code == 401
        for program in (served, works):
            program.process.terminate()
        assert (served.wait(60), works.wait(60)) == (-15, 0)
