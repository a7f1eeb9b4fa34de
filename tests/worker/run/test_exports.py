"""Exports: those asked for with a job reach its trainer as arguments; those asked for later are runs of their own."""

from pathlib import Path

import pytest
from sqlalchemy import delete

from service import datasets
from service.db.models import Artifact, Job
from service.jobs import commands, exports
from service.jobs.reaper import rescue
from service.settings import Settings
from service.states import Status
from tests.service import factories
from tests.waiting import wait_until
from tests.worker.conftest import SPEC, WorkerHarness
from worker.run.outcome import Failed, Outcome
from worker.run.process import export_command, trainer_command

on_one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def ask(bench: WorkerHarness, pruned: str) -> str:
    with bench.context.database.write() as session:
        return exports.ask(session, pruned, {"csr": "export-csr.zip"}).id


@pytest.fixture
def pruned(bench: WorkerHarness, tmp_path: Path) -> str:
    """A job that has succeeded, and its mask is ``mask``."""
    return factories.succeeded(bench.context.database, tmp_path, reports=["weights.safetensors"]).id


def test_a_claimed_job_brings_its_exports_to_the_trainer(bench: WorkerHarness) -> None:
    with bench.context.database.write() as session:
        commands.create(session, spec=SPEC, priority=1, exports=["compact", "onnx"])
    claimed = bench.claim()
    assert claimed.exports == ("compact", "onnx")
    command = trainer_command(Settings(), Path("spec.json"), Path("work"), None, claimed.exports)
    assert command[-4:] == ["--export", "compact", "--export", "onnx"]


def test_an_exporting_program_is_told_where_everything_is() -> None:
    settings = Settings(models_dir=Path("/models"), hub_enabled=False)
    command = export_command(settings, Path("w/mask.safetensors"), Path("w"), Path("w/token"), ["csr", "onnx"])
    assert command[1:4] == ["-m", "pruning", "export"]
    assert " ".join(command[4:]) == (
        "--mask w/mask.safetensors --out w/artifacts --archive --uploads-dir w/uploads --watch-stdin "
        "--models-dir /models --no-hub --token-file w/token --to csr --to onnx"
    )


def test_a_run_of_its_own_from_the_mask_to_the_figures(bench: WorkerHarness, pruned: str) -> None:
    export = ask(bench, pruned)
    assert bench.run(bench.claim(), "exports") is Outcome.SUCCEEDED
    job = bench.job(export)
    assert (job.status, job.result) == (Status.SUCCEEDED, {"threads": 1, "exports": []})
    found = bench.artifacts(export)
    assert found["export-csr.zip"].sha256 == bench.artifacts(pruned)["mask.safetensors"].sha256
    assert found["exports.json"].size == len("mask.safetensors\nweights.safetensors")
    told = [event.type for event in bench.events(export)]
    assert told == ["created", "status", "phase", "artifact", "artifact", "finished", "status"]
    assert not bench.work(export).exists()
    assert set(bench.artifacts(pruned)) == {"mask.safetensors", "weights.safetensors"}


def test_one_whose_worker_is_lost_is_made_by_another(bench: WorkerHarness, pruned: str) -> None:
    export = ask(bench, pruned)
    assert factories.claim(bench.context.database)  # and never heard of again
    factories.expire_leases(bench.context.database, export)
    with bench.context.database.write() as session:
        assert rescue(session, max_attempts=3, retry_delay_seconds=0) == [export]
    assert bench.run(bench.claim(), "exports") is Outcome.SUCCEEDED
    assert (bench.job(export).attempt, bench.job(export).lease_expiries) == (2, 1)


@on_one_database
def test_one_that_dies_each_time_fails_in_the_end(bench: WorkerHarness, pruned: str) -> None:
    export = ask(bench, pruned)
    for _ in range(bench.context.settings.max_attempts):
        verdict = bench.run(bench.claim(), "killed")
    assert isinstance(verdict, Failed)
    assert (verdict.code, bench.job(export).status) == ("trainer_killed", Status.FAILED)
    assert "fewer exports at a time" in verdict.message
    assert bench.job(pruned).status is Status.SUCCEEDED


@on_one_database
def test_without_figures_it_has_not_succeeded(bench: WorkerHarness, pruned: str) -> None:
    ask(bench, pruned)
    verdict = bench.run(bench.claim(), "no_figures")
    assert isinstance(verdict, Failed)
    assert "exports.json" in verdict.message


@on_one_database
def test_the_data_set_may_be_gone_and_the_mask_may_not(bench: WorkerHarness, pruned: str) -> None:
    database, missing = bench.context.database, datasets.id_of("local", "0" * 64)
    with database.write() as session:
        job = session.get_one(Job, pruned)
        job.spec = job.spec | {"task": {"dataset": missing}}
    export = ask(bench, pruned)
    assert bench.run(bench.claim(), "exports") is Outcome.SUCCEEDED
    with database.write() as session:
        session.execute(delete(Job).where(Job.id == export))
        lost = session.get_one(Job, pruned).mask_artifact_id
        session.execute(delete(Artifact).where(Artifact.job_id == pruned, Artifact.id != lost))
        session.get_one(Artifact, lost).name = "renamed"
    ask(bench, pruned)
    verdict = bench.run(bench.claim(), "exports")
    assert isinstance(verdict, Failed)
    assert (verdict.code, verdict.retryable) == ("artifact_not_found", False)


def test_it_ends_when_the_job_it_is_of_is_deleted(bench: WorkerHarness, pruned: str) -> None:
    export = ask(bench, pruned)
    running = bench.start(bench.claim(), "wait")
    wait_until(lambda: (bench.work(export) / "started").exists(), what="the start")
    with bench.context.database.write() as session:
        commands.delete(session, pruned)
    assert running.result() is Outcome.ABANDONED
    assert not list(bench.work(export).glob("attempt-*"))
