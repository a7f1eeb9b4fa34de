"""One trainer process: how it is started."""

import os
import sys

from worker.trainer import Trainer


def test_a_trainer_gives_way_to_its_worker() -> None:
    program = [sys.executable, "-c", "import os, sys; print(os.nice(0), *sys.argv[1:])", "an", "argument"]
    with Trainer(program, dict(os.environ), nice=3) as trainer:
        assert b"".join(trainer.stdout) == f"{min(os.nice(0) + 3, 19)} an argument\n".encode()
