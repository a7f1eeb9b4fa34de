"""Alerts, dashboard and scrape configuration against a real Prometheus that scrapes a real API and a real worker."""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml

from api.app import create_app
from service.access import api_keys
from service.access.api_keys import Scope
from service.db.engine import Database
from service.jobs import commands
from service.settings import Settings
from service.webhooks import subscriptions
from tests import patient_http
from tests.conftest import or_skip
from tests.processes import ROOT
from tests.prometheus import FOLDER, PrometheusServer, alerts, names_in, panel_queries, panels, program, prometheus
from tests.serving import serving
from tests.waiting import wait_until
from tests.webhook_receiver import webhook_receiver
from tests.worker.conftest import WorkerHarness
from worker.context import Context
from worker.monitoring.server import MetricsServer
from worker.webhooks.dispatcher import WebhookDispatcher

RUNBOOK = (ROOT / "docs" / "how-to" / "runbook.md").read_text(encoding="utf-8")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
NVIDIA_SMI = "#!/bin/sh\ncase \"$*\" in *memory*) echo 'GPU-1, 1024, 81559, 37';; *) echo GPU-1;; esac\n"


@dataclass(frozen=True)
class Monitored:
    """A service and the Prometheus that scrapes it."""

    server: PrometheusServer
    names: frozenset[str]
    """Of all samples that its processes have."""
    began: float
    """When it was started, in Unix seconds."""


@pytest.fixture(scope="module")
def monitored(promtool: str, tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[Monitored]:
    """With requests, a job that succeeded, one that was tried again, one that runs, and a message that arrived."""
    folder = tmp_path_factory.mktemp("monitored")
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        (folder / "nvidia-smi").write_text(NVIDIA_SMI)
        (folder / "nvidia-smi").chmod(0o755)
        patch.setenv("PATH", str(folder), prepend=":")
        patch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        (folder / "data").mkdir()
        url = f"sqlite:///{shutil.copy(migrated_sqlite, folder / 'data' / 'espalier.db')}"
        settings = Settings(
            data_dir=folder / "data",
            database_url=url,
            require_keys=True,
            webhook_allow_private=True,
            webhook_allow_http=True,
            worker_slots=2,
            retry_delay_seconds=0,
            worker_metrics_port=0,
            term_grace_seconds=1,
        )
        database = Database(url)
        with database.write() as session:
            _, key = api_keys.create(session, name="prometheus", owner="ops", scopes=(Scope.ADMIN,))
        worker = WorkerHarness(Context(settings, database))
        metrics = MetricsServer(settings, worker.context.registry)
        stack.callback(metrics.stop)
        api = stack.enter_context(serving(create_app(settings)))
        stack.enter_context(_at_work(worker))
        client = httpx.Client(
            base_url=api,
            headers={"Authorization": f"Bearer {key}", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"},
            timeout=patient_http.SECONDS,
        )
        began = time.time()
        client.get("/v1/jobs").raise_for_status()
        targets = {"espalier-api": api.removeprefix("http://"), "espalier-worker": f"127.0.0.1:{metrics.port}"}
        texts = [client.get("/metrics").text, patient_http.get(f"http://127.0.0.1:{metrics.port}/metrics").text]
        names = frozenset(re.findall(r"(?m)^([a-z_]+)", "\n".join(texts)))
        yield Monitored(stack.enter_context(prometheus(folder, targets, key)), names, began)


@contextmanager
def _at_work(worker: WorkerHarness) -> Iterator[None]:
    """A worker that has done some work, and does."""
    with webhook_receiver() as receiver:
        with worker.context.database.write() as session:
            subscriptions.create(
                session,
                worker.context.settings,
                owner="local",
                url=receiver.url,
                events=["job.succeeded"],
                secret=subscriptions.new_secret(),
            )
        worker.submit()
        worker.run(worker.claim(), "success")
        WebhookDispatcher(worker.context).tick()
        retried = worker.submit()
        worker.run(worker.claim(), "segfault")
        with worker.context.database.write() as session:
            commands.request_cancel(session, retried)
    running = worker.submit()
    supervisor = worker.start(worker.claim(), "slow_steady")
    wait_until(lambda: worker.metrics(running), what="a step")
    yield
    worker.context.stopping.set()
    supervisor.result()


@pytest.fixture(scope="module")
def promtool() -> Iterator[str]:
    @contextmanager
    def found() -> Iterator[str]:
        yield program("promtool")

    yield from or_skip(found)


def test_every_query_of_the_dashboard_has_data(monitored: Monitored) -> None:
    queries = set(panel_queries("10s"))

    def answered() -> bool:
        queries.difference_update([query for query in queries if monitored.server.query(query)])
        return not queries

    wait_until(answered, what=lambda: f"data of {queries}")


def test_every_metric_in_a_query_exists(monitored: Monitored) -> None:
    queries = [*panel_queries("10s"), *(rule["expr"] for rule in alerts().values())]
    assert names_in(queries) - monitored.names == set()
    assert len(names_in(queries)) > 25


def test_the_server_evaluates_every_alert_and_none_fires(monitored: Monitored) -> None:
    def evaluated() -> list[dict[str, str]]:
        rules = monitored.server.rules()
        return [] if any(rule["health"] == "unknown" for rule in rules) else rules

    rules = wait_until(evaluated, what="the evaluation of alerts")
    assert {rule["name"] for rule in rules} == alerts().keys()
    assert {rule["name"]: rule["health"] for rule in rules if rule["health"] != "ok"} == {}
    assert {rule["name"] for rule in rules if rule["state"] == "firing"} == set()


def test_the_server_keeps_the_trace_of_a_request(monitored: Monitored) -> None:
    def exemplars() -> list[dict[str, str]]:
        return monitored.server.exemplars("espalier_http_request_seconds_bucket", monitored.began, time.time() + 60)

    found = wait_until(exemplars, what="an exemplar")
    assert {exemplar["labels"]["trace_id"] for exemplar in found} == {TRACE}  # type: ignore[index]


def test_each_alert_fires_when_it_should(promtool: str) -> None:
    subprocess.run([promtool, "test", "rules", FOLDER / "alerts_test.yml"], check=True, capture_output=True, text=True)
    tested = re.findall(r"alertname: (\w+)\n *eval_time", (FOLDER / "alerts_test.yml").read_text(encoding="utf-8"))
    assert set(tested) == alerts().keys()


def test_the_scrape_configuration_is_valid(promtool: str) -> None:
    command = [promtool, "check", "config", "--syntax-only", str(FOLDER / "prometheus.yml")]
    subprocess.run(command, check=True, capture_output=True, text=True)
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    jobs = {job["job_name"] for job in config["scrape_configs"]}
    named = re.findall(r'job="([\w-]+)"', "".join([*panel_queries("1m"), *(rule["expr"] for rule in alerts().values())]))
    assert set(named) <= jobs


def test_the_runbook_has_a_paragraph_for_each_alert() -> None:
    section = RUNBOOK.partition("\n## Alerts\n")[2].partition("\n## ")[0]
    headings = re.findall(r"(?m)^### (\w+)$", section)
    assert headings == [*alerts()]
    for name, rule in alerts().items():
        assert rule["annotations"]["runbook_url"] == f"docs/how-to/runbook.md#{name.lower()}"
        assert rule["labels"]["severity"] in ("critical", "warning")


def test_the_dashboard_can_be_provisioned() -> None:
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids))
    for panel in panels():
        assert panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert all(target["datasource"] == panel["datasource"] and target["legendFormat"] for target in panel["targets"])
    provisioning = ROOT / "deploy" / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "espalier.yml").read_text())["providers"]
    assert (source["type"], provider["type"]) == ("prometheus", "file")
