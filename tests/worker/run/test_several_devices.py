"""The real trainer on two devices, from the claim to the mask."""

from pathlib import Path

import pytest

from service.db.engine import Database
from service.settings import Settings
from service.states import Status
from tests import toy_datasets, toy_models
from tests.faults.invariants import processes_under
from tests.worker.conftest import SupervisorThread, WorkerHarness
from worker.context import Context
from worker.run.outcome import Outcome
from worker.run.supervisor import supervise

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def harness(settings: Settings, database: Database, tmp_path: Path) -> WorkerHarness:
    """A worker with two slots of the processor, a toy and its rows."""
    toy_models.make_model(tmp_path / "models" / "bert")
    toy_datasets.make_opinions(tmp_path / "datasets" / "sst2")
    given = {"models_dir": tmp_path / "models", "datasets_dir": tmp_path / "datasets", "hub_enabled": False, "worker_slots": 2}
    return WorkerHarness(Context(settings.model_copy(update={**given, "trainer_threads": 1}), database))


def test_a_job_on_two_devices_succeeds(harness: WorkerHarness) -> None:
    job_id = harness.submit(
        model="bert", devices=2, max_steps=40, batch_size=8, max_length=32, validation_rows=32, checkpoint_every=20
    )
    claimed = harness.claim()
    assert (claimed.devices, harness.context.devices.free) == (("cpu:0", "cpu:1"), 0)
    running = SupervisorThread(lambda: supervise(claimed, harness.context))
    harness.wait_for_event(job_id, "started")
    assert len(processes_under(harness.work_folder(job_id))) == 3  # torchrun and two ranks
    assert running.result() is Outcome.SUCCEEDED
    job = harness.job(job_id)
    assert (job.status, job.attempt, job.step) == (Status.SUCCEEDED, 1, 40)
    recorded = [event.type for event in harness.events(job_id)]
    counted = [recorded.count(kind) for kind in ("started", "checkpoint", "finished", "error")]
    assert counted == [1, 1, 1, 0]  # one rank emits events for both
    assert {"mask.safetensors", "mask.espalier"} <= set(harness.artifacts(job_id))
    assert harness.context.devices.free == 2
