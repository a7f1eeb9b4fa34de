"""Specs as trainers get them: those of jobs that were submitted before a field existed keep what the field then did."""

from pathlib import Path
from typing import Any

import pytest

from pruning.spec.schema import PruningSpec
from service.jobs.fence import Fence
from service.settings import Settings
from worker.files import work_dirs

JOB = Fence("job_01jd3xk5m8v6q2zr9w4t7y1n0b", 1)
NEW = PruningSpec.model_validate({"model": "m", "task": "sst2", "max_steps": 10}).model_dump(mode="json")
OLD = {name: value for name, value in NEW.items() if name not in ("distill_states", "prior_weights")}


@pytest.mark.parametrize(("stored", "expected"), [(OLD, 0.0), (NEW, 1.0)], ids=["before the field", "with it"])
def test_a_run_is_what_it_was_when_it_was_submitted(tmp_path: Path, stored: dict[str, Any], expected: float) -> None:
    path, _ = work_dirs.prepare(Settings(data_dir=tmp_path), JOB, stored)
    assert PruningSpec.model_validate_json(path.read_bytes()).distill_states == expected
