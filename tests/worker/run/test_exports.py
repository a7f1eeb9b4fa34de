"""Exports: formats requested with a job are arguments of its trainer; those requested later are jobs of their own."""

from pathlib import Path

import pytest
from sqlalchemy import delete

from pruning.processes.bootstrap import python_command
from service import datasets
from service.db.models import Artifact, Job
from service.jobs import commands, exports
from service.jobs.reaper import reap_expired_leases
from service.settings import Settings
from service.states import Status
from tests.service import factories
from tests.waiting import wait_until
from tests.worker.conftest import SPEC, WorkerHarness
from worker.run.outcome import Failed, Outcome
from worker.run.process import export_command, trainer_command

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def ask(harness: WorkerHarness, pruned: str) -> str:
    with harness.context.database.write() as session:
        return exports.request_export(session, pruned, {"csr": "export-csr.zip"}).id


@pytest.fixture
def pruned(harness: WorkerHarness, tmp_path: Path) -> str:
    """A job that has succeeded, and its mask is ``mask``."""
    return factories.succeeded(harness.context.database, tmp_path, reports=["weights.safetensors"]).id


def test_exports_of_a_job_are_arguments_of_its_trainer(harness: WorkerHarness) -> None:
    with harness.context.database.write() as session:
        commands.create(session, spec=SPEC, priority=1, exports=["compact", "onnx"])
    claimed = harness.claim()
    assert claimed.exports == ("compact", "onnx")
    command = trainer_command(Settings(), Path("spec.json"), Path("work"), None, claimed.exports)
    assert command[-4:] == ["--export", "compact", "--export", "onnx"]


def test_export_command_names_mask_output_and_uploads() -> None:
    settings = Settings(models_dir=Path("/models"), hub_enabled=False)
    command = export_command(settings, Path("w/mask.safetensors"), Path("w"), Path("w/token"), ["csr", "onnx"])
    assert command[:5] == python_command("pruning", "export")
    assert " ".join(command[5:]) == (
        "--mask w/mask.safetensors --out w/artifacts --archive --uploads-dir w/uploads --watch-stdin "
        f"--models-dir /models --no-hub --hub-model-bytes {settings.hub_model_bytes} --token-file w/token --to csr --to onnx"
    )


def test_an_exporting_job_fetches_the_mask_and_stores_exports(harness: WorkerHarness, pruned: str) -> None:
    export = ask(harness, pruned)
    assert harness.run(harness.claim(), "exports") is Outcome.SUCCEEDED
    job = harness.job(export)
    assert (job.status, job.result) == (Status.SUCCEEDED, {"threads": 1, "exports": []})
    found = harness.artifacts(export)
    assert found["export-csr.zip"].sha256 == harness.artifacts(pruned)["mask.safetensors"].sha256
    assert found["exports.json"].size == len("mask.safetensors\nweights.safetensors")
    recorded = [event.type for event in harness.events(export)]
    assert recorded == ["created", "status", "phase", "artifact", "artifact", "finished", "status"]
    assert not harness.work_folder(export).exists()
    assert set(harness.artifacts(pruned)) == {"mask.safetensors", "weights.safetensors"}


def test_an_export_whose_worker_is_lost_is_run_by_another(harness: WorkerHarness, pruned: str) -> None:
    export = ask(harness, pruned)
    assert factories.claim(harness.context.database)  # and never heard of again
    factories.expire_leases(harness.context.database, export)
    with harness.context.database.write() as session:
        assert reap_expired_leases(session, max_attempts=3, retry_delay_seconds=0) == [export]
    assert harness.run(harness.claim(), "exports") is Outcome.SUCCEEDED
    assert (harness.job(export).attempt, harness.job(export).lease_expiries) == (2, 1)


@sqlite_only
def test_an_export_that_crashes_each_time_fails_in_the_end(harness: WorkerHarness, pruned: str) -> None:
    export = ask(harness, pruned)
    for _ in range(harness.context.settings.max_attempts):
        outcome = harness.run(harness.claim(), "killed")
    assert isinstance(outcome, Failed)
    assert (outcome.code, harness.job(export).status) == ("trainer_killed", Status.FAILED)
    assert "exports" in outcome.message
    assert harness.job(pruned).status is Status.SUCCEEDED


@sqlite_only
def test_an_export_without_results_has_not_succeeded(harness: WorkerHarness, pruned: str) -> None:
    ask(harness, pruned)
    outcome = harness.run(harness.claim(), "no_figures")
    assert isinstance(outcome, Failed)
    assert "exports.json" in outcome.message


@sqlite_only
def test_an_export_needs_its_mask_but_not_its_data_set(harness: WorkerHarness, pruned: str) -> None:
    database, missing = harness.context.database, datasets.dataset_id_for("local", "0" * 64)
    with database.write() as session:
        job = session.get_one(Job, pruned)
        job.spec = job.spec | {"task": {"dataset": missing}}
    export = ask(harness, pruned)
    assert harness.run(harness.claim(), "exports") is Outcome.SUCCEEDED
    with database.write() as session:
        session.execute(delete(Job).where(Job.id == export))
        lost = session.get_one(Job, pruned).mask_artifact_id
        session.execute(delete(Artifact).where(Artifact.job_id == pruned, Artifact.id != lost))
        session.get_one(Artifact, lost).name = "renamed"
    ask(harness, pruned)
    outcome = harness.run(harness.claim(), "exports")
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.retryable) == ("artifact_not_found", False)


def test_an_export_fails_when_its_job_is_deleted(harness: WorkerHarness, pruned: str) -> None:
    export = ask(harness, pruned)
    running = harness.start(harness.claim(), "wait")
    wait_until(lambda: (harness.work_folder(export) / "started").exists(), what="the start")
    with harness.context.database.write() as session:
        commands.delete(session, pruned)
    assert running.result() is Outcome.ABANDONED
    assert not list(harness.work_folder(export).glob("attempt-*"))
