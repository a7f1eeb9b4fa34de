"""The real worker with the fake trainer: ``celery -A tests.worker.fake_worker worker``; FAKE_TRAINER names its behaviour."""

import os
import sys
from pathlib import Path

from jobs.settings import Settings
from worker import supervise
from worker.app import app

__all__ = ["app"]


def fake_command(settings: Settings, spec: Path, work: Path) -> list[str]:
    """In place of ``worker.trainer.trainer_command``; must look the same to whoever calls it."""
    del settings, spec
    behaviour = os.environ.get("FAKE_TRAINER", "success")
    return [sys.executable, "-m", "tests.worker.fake_trainer", str(work), behaviour]


vars(supervise)["trainer_command"] = fake_command
