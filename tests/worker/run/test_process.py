"""Trainer process: its priority and its command line."""

import os
import sys
from pathlib import Path

from service.settings import Settings
from worker.run.process import TrainerProcess, trainer_command


def test_a_trainer_has_a_lower_priority_than_its_worker() -> None:
    program = [sys.executable, "-c", "import os, sys; print(os.nice(0), *sys.argv[1:])", "an", "argument"]
    with TrainerProcess(program, dict(os.environ), nice=3) as trainer:
        assert b"".join(trainer.stdout) == f"{min(os.nice(0) + 3, 19)} an argument\n".encode()


def test_the_token_cache_is_an_argument_unless_it_is_disabled(tmp_path: Path) -> None:
    given = trainer_command(Settings(data_dir=tmp_path, token_cache_bytes=7), Path("spec.json"), Path("work"))
    assert f"--token-cache {tmp_path}/tokens --token-cache-bytes 7" in " ".join(given)
    none = trainer_command(Settings(data_dir=tmp_path, token_cache_bytes=0), Path("spec.json"), Path("work"))
    assert not any("token-cache" in argument for argument in none)
