"""Exports asked for with a job reach its trainer as arguments."""

from pathlib import Path

from jobs import store
from jobs.settings import Settings
from tests.worker.conftest import SPEC, Bench
from worker.trainer import trainer_command


def test_a_claimed_job_brings_its_exports_to_the_trainer(bench: Bench) -> None:
    with bench.context.database.write() as session:
        store.create(session, spec=SPEC, priority=1, exports=["compact", "onnx"])
    claimed = bench.claim()
    assert claimed.exports == ("compact", "onnx")
    command = trainer_command(Settings(), Path("spec.json"), Path("work"), None, claimed.exports)
    assert command[-4:] == ["--export", "compact", "--export", "onnx"]
