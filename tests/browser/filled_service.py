"""Service with something on every page: jobs in every state, a sweep, a webhook with deliveries, a data set."""

import json
from typing import Any

from pruning.quality.catalog import WARNINGS
from service.db.models import LOCAL, RunWarning
from service.jobs import claims
from service.jobs.fence import Fence
from service.settings import Settings
from service.webhooks import outbox, subscriptions
from service.webhooks.outbox import DeliveryResult
from tests import patient_http
from tests.api.conftest import BODY, Jobs
from tests.api.pages.test_job import REPORT

_RESULTS = (DeliveryResult(200), DeliveryResult(500, "the receiver answered 500"), DeliveryResult(error="no answer in 20 s"))
_WARNING: RunWarning = {
    "code": "predicts_one_class",
    "message": "the mask predicts 'terrible' for each of the 872 validation rows",
    "remedy": WARNINGS["predicts_one_class"].remedy,
}
_CLASSES = ("billing", "a plan, or the price of one", "delivery")


def fill(jobs: Jobs, settings: Settings, url: str) -> dict[str, str]:
    """Paths of the pages, by what is on them. The service is at ``url`` and had nothing before."""
    webhook = _webhook(jobs, settings)
    done = jobs.running(sparsity=0.97)
    for step in range(5):
        jobs.metrics(done, step, loss=1 / (step + 1), remaining=1 - step / 10, rows_per_second=300.0)
    jobs.artifact(done, json.dumps(REPORT).encode(), "report.json")
    jobs.event(done, "log", level="warning", message="rows were left out")
    _warn(jobs, done)
    _succeed(jobs, done, 0.97)
    failed = jobs.running()
    jobs.event(failed, "error", message="no")
    jobs.fail(failed)
    running = jobs.running(sparsity=0.5)
    with jobs.database.write() as session:
        fence, metrics = Fence(running, 1), {"validation_accuracy": 0.8123, "remaining": 0.75}
        claims.set_phase(session, fence, "training")
        claims.set_progress(session, fence, step=50, total_steps=200, eta_seconds=90, metrics=metrics)
    jobs.worker()
    sweep = _sweep(jobs, url)
    jobs.queued()
    _deliver(jobs)
    return {
        "compare": f"/compare?job={done}&job={failed}",
        "succeeded": f"/jobs/{done}",
        "failed": f"/jobs/{failed}",
        "running": f"/jobs/{running}",
        "sweep": f"/sweeps/{sweep}",
        "webhook": f"/webhooks/{webhook}",
        "dataset": f"/datasets/{_dataset(url)}",
    }


def _webhook(jobs: Jobs, settings: Settings) -> str:
    with jobs.database.write() as session:
        webhook = subscriptions.create(
            session,
            settings,
            owner=LOCAL,
            url="https://receiver.example/hooks/espalier?team=reviews",
            events=["job.started", "job.succeeded", "job.failed"],
            secret=subscriptions.new_secret(),
        )
        return webhook.id


def _deliver(jobs: Jobs) -> None:
    """The first messages, with one result each; the others wait."""
    for result in _RESULTS:
        with jobs.database.write() as session:
            for claimed in outbox.claim(session, limit=1, lease_seconds=60):
                outbox.record_result(session, claimed.delivery, result, max_attempts=5)


def _warn(jobs: Jobs, job_id: str) -> None:
    with jobs.database.write() as session:
        claims.add_warning(session, Fence(job_id, 1), _WARNING)


def _succeed(jobs: Jobs, job_id: str, sparsity: float) -> None:
    mask = jobs.artifact(job_id, b"mask")
    accuracy = round(0.92 - sparsity**8 / 5, 4)
    result: dict[str, Any] = {
        "primary_metric": "accuracy",
        "before": {"accuracy": 0.5092},
        "final": {"accuracy": accuracy},
        "sparsity": sparsity,
        "remaining": 1 - sparsity,
        "mask_bytes": 10_638_208,
        "compact_mask_bytes": 2_013_312,
        "seconds": 341.5,
    }
    with jobs.database.write() as session:
        claims.succeed(session, Fence(job_id, 1), result=result, mask_artifact_id=mask)


def _sweep(jobs: Jobs, url: str) -> str:
    """Of four jobs one has succeeded, with a warning, one has failed, and two wait."""
    axes = {"methods": ["smp-s", "magnitude"], "sparsities": [0.5, 0.9]}
    made = patient_http.post(f"{url}/v1/sweeps", json={"base": {**BODY, "metadata": {"team": "reviews"}}, **axes})
    assert made.is_success, made.text
    for number in range(2):
        with jobs.database.write() as session:
            claimed = claims.claim(session, worker_id="w", lease_seconds=600)
            assert claimed is not None
            job_id, sparsity = claimed.id, claimed.spec["sparsity"]
        if number:
            jobs.fail(job_id)
        else:
            _warn(jobs, job_id)
            _succeed(jobs, job_id, sparsity)
    sweep_id: str = made.json()["id"]
    return sweep_id


def _dataset(url: str) -> str:
    rows = [{"body": f"Ticket {n}: {'words ' * (3 + n)}", "queue": name, "minutes": n} for n in range(9) for name in _CLASSES]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    made = patient_http.post(
        f"{url}/v1/datasets",
        data={"name": "tickets"},
        files={"train": ("train.jsonl", lines), "validation": ("validation.jsonl", lines[: lines.index("\n") + 1])},
    )
    assert made.is_success, made.text
    dataset_id: str = made.json()["id"]
    return dataset_id
