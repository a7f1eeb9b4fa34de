"""The real worker process with the fake trainer: ``python -m tests.worker.fake_worker``.

FAKE_TRAINER names the trainer's behaviour; without it, the job's model does, as in ``fake/success``. A model without a slash
is for the real trainer.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from service.settings import Settings
from worker.app import main
from worker.run import preparation
from worker.run.process import trainer_command as _real_command


def fake_command(settings: Settings, spec: Path, work: Path, *more: Any) -> list[str]:
    """In place of ``worker.run.process.trainer_command``; takes the same arguments."""
    model = json.loads(spec.read_text())["model"]
    behaviour = os.environ.get("FAKE_TRAINER") or model.partition("/")[2]
    if not behaviour:
        return _real_command(settings, spec, work, *more)
    return [sys.executable, "-m", "tests.worker.fake_trainer", str(work), behaviour]


vars(preparation)["trainer_command"] = fake_command

if __name__ == "__main__":
    main()
