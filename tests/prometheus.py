"""A real Prometheus with the project's configuration, and the queries of dashboard and alerts that tests put to it."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests import patient_http
from tests.processes import ROOT
from tests.services import UnavailableError, free_port
from tests.waiting import wait_until

FOLDER = ROOT / "deploy" / "prometheus"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "espalier.json"
_NAME = re.compile(r"\b(?:espalier|process)_\w+")


def program(name: str) -> str:
    """The path of ``prometheus`` or ``promtool``. Raises UnavailableError."""
    found = shutil.which(name)
    if found is None:
        raise UnavailableError(f"Prometheus: there is no {name} to start")
    return found


def panels() -> list[dict[str, Any]]:
    """Panels of the dashboard that show something."""
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def panel_queries(interval: str) -> list[str]:
    """Their queries, in which rates are of ``interval``."""
    return [target["expr"].replace("$__rate_interval", interval) for panel in panels() for target in panel["targets"]]


def alerts() -> dict[str, dict[str, Any]]:
    """Rules of alerts by their names."""
    (group,) = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def names_in(queries: Sequence[str]) -> set[str]:
    """Names of metrics."""
    return {name for query in queries for name in _NAME.findall(query)}


class PrometheusServer:
    """A server that runs."""

    def __init__(self, url: str) -> None:
        self.url = url

    def query(self, query: str) -> list[dict[str, Any]]:
        """The value of ``query`` now: a sample for each series."""
        return self._get("query", query=query)["result"]

    def query_range(self, query: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """The values of ``query`` between two times in Unix seconds: a list for each series."""
        found: list[dict[str, Any]] = self._get("query_range", query=query, start=str(start), end=str(end), step=str(step))[
            "result"
        ]
        return found

    def rules(self) -> list[dict[str, Any]]:
        """Rules of alerts with their health."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def exemplars(self, query: str, start: float, end: float) -> list[dict[str, Any]]:
        """Exemplars of the series of ``query`` between two times in Unix seconds."""
        found = self._get("query_exemplars", query=query, start=str(start), end=str(end))
        return [exemplar for series in found for exemplar in series["exemplars"]]

    def _get(self, path: str, **parameters: str) -> Any:
        answer = patient_http.get(f"{self.url}/api/v1/{path}", params=parameters).json()
        assert answer["status"] == "success", answer
        return answer["data"]


@contextmanager
def prometheus(folder: Path, targets: Mapping[str, str], key: str, interval: str = "500ms") -> Iterator[PrometheusServer]:
    """A server with the project's configuration and alerts, except for addresses (``host:port`` of each job) and interval."""
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": interval, "evaluation_interval": interval}
    config["rule_files"] = [str(FOLDER / "alerts.yml")]
    (folder / "key").write_text(key, encoding="utf-8")
    for job in config["scrape_configs"]:
        del job["dns_sd_configs"]
        job["static_configs"] = [{"targets": [targets[job["job_name"]]]}]
        if "authorization" in job:
            job["authorization"]["credentials_file"] = str(folder / "key")
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    address = f"127.0.0.1:{free_port()}"
    command = [
        *(program("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"),
        *(f"--web.listen-address={address}", "--enable-feature=exemplar-storage", "--log.level=warn"),
    ]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            server = PrometheusServer(f"http://{address}")
            wait_until(lambda: _is_ready(server, process), what="Prometheus")
            yield server
        finally:
            process.kill()  # it would write what it has to disk


def _is_ready(server: PrometheusServer, process: "subprocess.Popen[bytes]") -> bool:
    assert process.poll() is None, "Prometheus has ended"
    try:
        return httpx.get(f"{server.url}/-/ready").status_code == 200
    except httpx.TransportError:
        return False
