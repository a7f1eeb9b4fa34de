"""One trace of a whole job: request, wait, attempt with the real trainer's phases, artifacts, message to the webhook."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from service.db import migrate
from service.db.engine import Database
from service.settings import Settings
from service.webhooks.subscriptions import new_secret
from tests import patient_http
from tests.recorded_traces import RecordedTraces, parent_id, span_id, trace_id
from tests.serving import espalier_serve
from tests.toy_datasets import make_opinions
from tests.toy_models import make_model
from tests.trace_collector import trace_collector
from tests.waiting import wait_until
from tests.webhook_receiver import webhook_receiver
from worker.context import Context
from worker.run import loop
from worker.webhooks.dispatcher import WebhookDispatcher

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADERS = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
SPEC: dict[str, Any] = {
    "model": "toy",
    "task": "sst2",
    "method": "smp-l",
    "sparsity": 0.75,
    "max_steps": 4,
    "batch_size": 16,
    "max_length": 32,
    "checkpoint_every": 2,
}
PHASES = [
    "trainer.validating",
    "trainer.tokenizing",
    "trainer.evaluating",
    "trainer.training",
    "trainer.evaluating",
    "trainer.saving",
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    make_model(folder / "models" / "toy")
    make_opinions(folder / "datasets" / "sst2")
    return folder


def test_a_job_is_one_trace_from_the_request_to_the_webhook(site: Path, tmp_path: Path, traces: RecordedTraces) -> None:
    settings = Settings(
        data_dir=tmp_path,
        models_dir=site / "models",
        datasets_dir=site / "datasets",
        hub_enabled=False,
        trainer_threads=1,
        webhook_allow_private=True,
        webhook_allow_http=True,
    )
    migrate.upgrade(settings.database_url)
    context = Context(settings, Database(settings.database_url))
    with webhook_receiver() as receiver, TestClient(create_app(settings), base_url="http://127.0.0.1:8000") as client:
        webhook = {"url": receiver.url, "secret": new_secret()}
        posted = client.post("/v1/jobs", json=SPEC | {"webhook": webhook}, headers=HEADERS)
        assert posted.status_code == 202, posted.text
        assert loop.work(context) == 1
        assert WebhookDispatcher(context).tick() == 1
    context.database.dispose()
    request, attempt, finish = (traces.named(name) for name in ("POST /v1/jobs", "job.attempt", "attempt.finish"))
    message = traces.named("webhook.deliver")
    assert {trace_id(span) for span in traces.spans} == {TRACE}
    assert [parent_id(span) for span in (request, attempt, finish, message)] == [CALLER, *map(span_id, (request, attempt, finish))]
    assert receiver.requests[0][1]["traceparent"][3:52] == f"{TRACE}-{span_id(message)}"
    about = {"espalier.job.id": posted.json()["id"], "espalier.job.attempt": 1, "espalier.method": "smp-l"}
    assert (about | {"espalier.outcome": "succeeded", "espalier.total_steps": 4}).items() <= (attempt.attributes or {}).items()
    below = [span for span in traces.spans if parent_id(span) == span_id(attempt)]
    trained = [span.name for span in below if span.name.startswith("trainer.")]
    assert trained == ["trainer.starting", *PHASES]
    stored = {(span.attributes or {})["espalier.artifact"] for span in below if span.name == "artifact.store"}
    assert {"mask.safetensors", "predictions.jsonl"} <= stored
    assert all((span.end_time or 0) >= (span.start_time or 0) > 0 for span in traces.spans)
    in_turn = [
        traces.named("job.queued"),
        traces.named("attempt.prepare"),
        *(span for span in below if span.name in trained),
        finish,
    ]
    for earlier, later in pairwise(in_turn):
        assert (earlier.end_time or 0) <= (later.start_time or 0), f"{later.name} begins before {earlier.name} ends"
    assert (attempt.end_time or 0) >= (finish.end_time or 0)


def test_processes_send_their_spans_to_a_collector(site: Path) -> None:
    """What is left is sent when they stop; the request of the job's state is a trace of its own."""
    with trace_collector() as collector:
        settings = {"ESPALIER_HUB_ENABLED": "false", "ESPALIER_OTLP_ENDPOINT": collector.url}
        with espalier_serve(site, settings) as url:
            job = url + patient_http.post(f"{url}/v1/jobs", json=SPEC, headers=HEADERS).raise_for_status().headers["location"]
            ended = wait_until(
                lambda: (found := patient_http.get(job).json())["status"] != "queued" and found["finished_at"] and found
            )
            assert ended["status"] == "succeeded", ended["error"]
        found = collector.of_trace(TRACE)
    names = [(service, span.name) for service, span in found]
    assert names[:3] == [("espalier-api", "POST /v1/jobs"), ("espalier-worker", "job.queued"), ("espalier-worker", "job.attempt")]
    assert [name for _, name in names if name in PHASES] == PHASES
    known = {span.span_id.hex() for _, span in found} | {CALLER}
    assert {span.parent_span_id.hex() for _, span in found} <= known, "every parent was sent, too"
    assert ("espalier-api", "GET /v1/jobs/{job_id}") in {(service, span.name) for service, span in collector.spans}
