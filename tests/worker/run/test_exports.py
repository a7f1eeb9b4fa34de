"""Exports: those asked for with a job reach its trainer as arguments; those asked for later are runs of their own."""

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

on_one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def ask(harness: WorkerHarness, pruned: str) -> str:
    with harness.context.database.write() as session:
        return exports.request_export(session, pruned, {"csr": "export-csr.zip"}).id


@pytest.fixture
def pruned(harness: WorkerHarness, tmp_path: Path) -> str:
    """A job that has succeeded, and its mask is ``mask``."""
    return factories.succeeded(harness.context.database, tmp_path, reports=["weights.safetensors"]).id


def test_a_claimed_job_brings_its_exports_to_the_trainer(harness: WorkerHarness) -> None:
    with harness.context.database.write() as session:
        commands.create(session, spec=SPEC, priority=1, exports=["compact", "onnx"])
    claimed = harness.claim()
    assert claimed.exports == ("compact", "onnx")
    command = trainer_command(Settings(), Path("spec.json"), Path("work"), None, claimed.exports)
    assert command[-4:] == ["--export", "compact", "--export", "onnx"]


def test_an_exporting_program_is_told_where_everything_is() -> None:
    settings = Settings(models_dir=Path("/models"), hub_enabled=False)
    command = export_command(settings, Path("w/mask.safetensors"), Path("w"), Path("w/token"), ["csr", "onnx"])
    assert command[:5] == python_command("pruning", "export")
    assert " ".join(command[5:]) == (
        "--mask w/mask.safetensors --out w/artifacts --archive --uploads-dir w/uploads --watch-stdin "
        "--models-dir /models --no-hub --token-file w/token --to csr --to onnx"
    )


def test_a_run_of_its_own_from_the_mask_to_the_figures(harness: WorkerHarness, pruned: str) -> None:
    export = ask(harness, pruned)
    assert harness.run(harness.claim(), "exports") is Outcome.SUCCEEDED
    job = harness.job(export)
    assert (job.status, job.result) == (Status.SUCCEEDED, {"threads": 1, "exports": []})
    found = harness.artifacts(export)
    assert found["export-csr.zip"].sha256 == harness.artifacts(pruned)["mask.safetensors"].sha256
    assert found["exports.json"].size == len("mask.safetensors\nweights.safetensors")
    told = [event.type for event in harness.events(export)]
    assert told == ["created", "status", "phase", "artifact", "artifact", "finished", "status"]
    assert not harness.work_folder(export).exists()
    assert set(harness.artifacts(pruned)) == {"mask.safetensors", "weights.safetensors"}


def test_one_whose_worker_is_lost_is_made_by_another(harness: WorkerHarness, pruned: str) -> None:
    export = ask(harness, pruned)
    assert factories.claim(harness.context.database)  # and never heard of again
    factories.expire_leases(harness.context.database, export)
    with harness.context.database.write() as session:
        assert reap_expired_leases(session, max_attempts=3, retry_delay_seconds=0) == [export]
    assert harness.run(harness.claim(), "exports") is Outcome.SUCCEEDED
    assert (harness.job(export).attempt, harness.job(export).lease_expiries) == (2, 1)


@on_one_database
def test_one_that_dies_each_time_fails_in_the_end(harness: WorkerHarness, pruned: str) -> None:
    export = ask(harness, pruned)
    for _ in range(harness.context.settings.max_attempts):
        verdict = harness.run(harness.claim(), "killed")
    assert isinstance(verdict, Failed)
    assert (verdict.code, harness.job(export).status) == ("trainer_killed", Status.FAILED)
    assert "fewer exports at a time" in verdict.message
    assert harness.job(pruned).status is Status.SUCCEEDED


@on_one_database
def test_without_figures_it_has_not_succeeded(harness: WorkerHarness, pruned: str) -> None:
    ask(harness, pruned)
    verdict = harness.run(harness.claim(), "no_figures")
    assert isinstance(verdict, Failed)
    assert "exports.json" in verdict.message


@on_one_database
def test_the_data_set_may_be_gone_and_the_mask_may_not(harness: WorkerHarness, pruned: str) -> None:
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
    verdict = harness.run(harness.claim(), "exports")
    assert isinstance(verdict, Failed)
    assert (verdict.code, verdict.retryable) == ("artifact_not_found", False)


def test_it_ends_when_the_job_it_is_of_is_deleted(harness: WorkerHarness, pruned: str) -> None:
    export = ask(harness, pruned)
    running = harness.start(harness.claim(), "wait")
    wait_until(lambda: (harness.work_folder(export) / "started").exists(), what="the start")
    with harness.context.database.write() as session:
        commands.delete(session, pruned)
    assert running.result() is Outcome.ABANDONED
    assert not list(harness.work_folder(export).glob("attempt-*"))
