"""The real worker with the fake trainer: ``celery -A tests.worker.fake_worker worker``.

FAKE_TRAINER names its behaviour; without it, the job's model does, as in ``fake/success``. A model without a slash is for
the real trainer.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from jobs.settings import Settings
from worker import supervise
from worker.app import app
from worker.trainer import trainer_command as _real_command

__all__ = ["app"]


def fake_command(settings: Settings, spec: Path, work: Path, *more: Any) -> list[str]:
    """In place of ``worker.trainer.trainer_command``; must look the same to whoever calls it."""
    model = json.loads(spec.read_text())["model"]
    behaviour = os.environ.get("FAKE_TRAINER") or model.partition("/")[2]
    if not behaviour:
        return _real_command(settings, spec, work, *more)
    return [sys.executable, "-m", "tests.worker.fake_trainer", str(work), behaviour]


vars(supervise)["trainer_command"] = fake_command
