"""Evaluation jobs on a worker: mask and data set are fetched, the life cycle is that of any job, and the real program runs."""

from pathlib import Path
from typing import Any

import pytest

from pruning.formats import mask_file
from pruning.processes.bootstrap import python_command
from service.db.engine import Database
from service.db.models import Job
from service.jobs import claims, commands, evaluations
from service.jobs.fence import Fence
from service.jobs.reaper import reap_expired_leases
from service.settings import Settings
from service.states import Status
from tests.pruning.runs import finished, make_sources, run_toy, spec_of
from tests.service import factories
from tests.worker.conftest import WorkerHarness
from worker.context import Context
from worker.run.outcome import Failed, Outcome
from worker.run.process import evaluation_command
from worker.run.supervisor import supervise

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
OWN_ROWS: dict[str, Any] = {"dataset": None, "config": None, "split": None, "rows": None, "dense": False}


def ask(database: Database, pruned: Job, **rows: Any) -> str:
    with database.write() as session:
        return evaluations.request_evaluation(session, pruned.id, spec=pruned.spec, evaluation={**OWN_ROWS, **rows}).id


@pytest.fixture
def pruned(harness: WorkerHarness, tmp_path: Path) -> Job:
    """A job that has succeeded."""
    return factories.succeeded(harness.context.database, tmp_path, reports=["weights.safetensors"])


def test_the_command_names_mask_rows_and_output() -> None:
    settings = Settings(models_dir=Path("/models"), hub_enabled=False)
    rows = {"dataset": "-d", "config": None, "split": "test", "rows": 5, "dense": True}
    command = evaluation_command(settings, Path("w/mask.safetensors"), rows, Path("w"), Path("w/token"))
    assert command[:5] == python_command("pruning", "evaluate")
    assert " ".join(command[5:]) == (
        "--mask w/mask.safetensors --out w/artifacts --uploads-dir w/uploads --watch-stdin --models-dir /models --no-hub "
        f"--hub-model-bytes {settings.hub_model_bytes} --token-file w/token --dataset=-d --split=test --rows=5 --dense"
    )


def test_an_evaluation_fetches_the_mask_and_stores_its_result(harness: WorkerHarness, pruned: Job) -> None:
    asked = ask(harness.context.database, pruned)
    assert harness.run(harness.claim(), "evaluated_mask") is Outcome.SUCCEEDED
    job = harness.job(asked)
    assert (job.status, job.mask_artifact_id) == (Status.SUCCEEDED, None)
    assert job.result == {"primary_metric": "accuracy", "final": {"accuracy": 0.75}, "rows": 4}
    assert job.metrics["validation_accuracy"] == 0.75
    assert harness.artifacts(asked)["evaluation.json"].size == len("mask.safetensors\nweights.safetensors")
    recorded = [event.type for event in harness.events(asked)]
    assert recorded == ["created", "status", "phase", "evaluation", "artifact", "finished", "status"]
    assert not harness.work_folder(asked).exists()


def test_an_evaluation_whose_worker_is_lost_is_run_by_another(harness: WorkerHarness, pruned: Job) -> None:
    asked = ask(harness.context.database, pruned)
    assert factories.claim(harness.context.database)  # and never heard of again
    factories.expire_leases(harness.context.database, asked)
    with harness.context.database.write() as session:
        assert reap_expired_leases(session, max_attempts=3, retry_delay_seconds=0) == [asked]
    assert harness.run(harness.claim(), "evaluated_mask") is Outcome.SUCCEEDED
    assert (harness.job(asked).attempt, harness.job(asked).lease_expiries) == (2, 1)


@sqlite_only
def test_a_running_evaluation_is_cancelled(harness: WorkerHarness, pruned: Job) -> None:
    asked = ask(harness.context.database, pruned)
    supervisor = harness.start(harness.claim(), "wait")
    harness.wait_for_event(asked, "status")
    with harness.context.database.write() as session:
        commands.request_cancel(session, asked)
    assert supervisor.result() is Outcome.CANCELLED
    assert harness.job(asked).status is Status.CANCELLED


@sqlite_only
def test_a_data_set_that_is_gone_is_named(harness: WorkerHarness, pruned: Job) -> None:
    with harness.context.database.write() as session:
        asked = evaluations.request_evaluation(
            session, pruned.id, spec={**pruned.spec, "task": {"dataset": "ds_" + "0" * 32}}, evaluation=OWN_ROWS
        ).id
    outcome = harness.run(harness.claim(), "evaluated_mask")
    assert isinstance(outcome, Failed)
    assert (outcome.code, harness.job(asked).status) == ("dataset_not_found", Status.FAILED)


@sqlite_only
def test_a_mask_does_not_prove_an_evaluation(harness: WorkerHarness, pruned: Job) -> None:
    ask(harness.context.database, pruned)
    outcome = harness.run(harness.claim(), "success")
    assert isinstance(outcome, Failed)
    assert "evaluation.json" in outcome.message


@sqlite_only
def test_the_real_program_reproduces_the_metrics_of_the_training(harness: WorkerHarness, tmp_path: Path) -> None:
    sources = make_sources(tmp_path / "toys")
    training = finished(run_toy(sources, tmp_path / "run", max_steps=4))
    mask = tmp_path / "run" / "artifacts" / "mask.safetensors"
    database = harness.context.database
    spec = spec_of(max_steps=4).model_dump(mode="json")
    job = factories.running(database, spec=spec)
    stored = factories.store_file(database, job, tmp_path / "stored", mask.read_bytes())
    with database.write() as session:
        pruned = claims.succeed(session, Fence.from_row(job), result=training, mask_artifact_id=stored)
    settings = harness.context.settings.model_copy(
        update={"models_dir": sources.models_dir, "datasets_dir": sources.datasets_dir, "hub_enabled": False, "trainer_threads": 1}
    )
    real = WorkerHarness(Context(settings, database))
    asked = ask(database, pruned, dense=True)
    assert supervise(real.claim(), real.context) is Outcome.SUCCEEDED
    found = real.job(asked)
    assert found.result is not None
    assert (found.result["final"], found.result["before"]) == (training["final"], training["before"])
    assert mask_file.read(mask)[1].metrics == found.result["final"]
    assert set(real.artifacts(asked)) == {"evaluation.json", "predictions.jsonl"}
    other = ask(database, pruned, split="none")
    failed = supervise(real.claim(), real.context)
    assert isinstance(failed, Failed)
    assert (failed.code, failed.param, real.job(other).status) == ("split_missing", "split", Status.FAILED)
