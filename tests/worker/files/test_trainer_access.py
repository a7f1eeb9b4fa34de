"""Permissions of the data folder for trainers of another user."""

import os
import stat
from pathlib import Path

import pytest

from service.jobs.fence import Fence
from service.settings import Settings
from tests.other_users import TRAINER, as_user, may_read, open_folder
from worker.files import work_dirs
from worker.files.trainer_access import home_folder, let_write, open_data_folder, tokens_folder

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders to another group")
JOB = Fence("job_01jd3xk5m8v6q2zr9w4t7y1n0b", 1)


def mode(path: Path) -> tuple[int, int]:
    found = path.stat()
    return stat.S_IMODE(found.st_mode), found.st_gid


def may_write(folder: Path) -> bool:
    return as_user(TRAINER, ["touch", str(folder / "new")]).returncode == 0


@needs_root
def test_trainers_write_what_is_theirs_and_pass_through_the_rest() -> None:
    with open_folder() as folder:
        settings = Settings(data_dir=folder / "data", trainer_user=f"{TRAINER}:{TRAINER}")
        settings.data_dir.mkdir(mode=0o755)  # of an operator, or of an older version
        (settings.data_dir / "espalier.db").touch(0o644)
        (settings.data_dir / "broker").mkdir()
        open_data_folder(settings)
        work_dirs.prepare(settings, JOB, {"model": "m"})
        attempt = work_dirs.attempt_folder(settings.data_dir, JOB)
        passed = [settings.data_dir, settings.data_dir / "work", settings.data_dir / "datasets", attempt.parent]
        assert {path: mode(path) for path in passed} == dict.fromkeys(passed, (0o710, TRAINER))
        written = [attempt, attempt / "checkpoints", tokens_folder(settings.data_dir), home_folder(settings.data_dir)]
        assert all(map(may_write, written))
        assert not [path for path in passed if may_read(TRAINER, path) or may_write(path)]
        assert not may_read(TRAINER, settings.data_dir / "espalier.db")
        assert not may_read(TRAINER, settings.data_dir / "broker")
        assert may_read(TRAINER, attempt / "spec.json")


@needs_root
def test_checkpoints_of_the_time_before_can_be_read_and_replaced() -> None:
    with open_folder() as folder:
        settings = Settings(data_dir=folder, trainer_user=f"{TRAINER}:{TRAINER}")
        (folder / "step-1").touch(0o600)
        let_write(folder, settings)
        assert may_read(TRAINER, folder / "step-1")
        assert as_user(TRAINER, ["rm", str(folder / "step-1")]).returncode == 0


def test_nothing_is_changed_where_trainers_are_the_workers_user(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    settings.data_dir.mkdir(mode=0o700)
    open_data_folder(settings)
    work_dirs.prepare(settings, JOB, {})
    assert {path.name for path in settings.data_dir.iterdir()} == {"work"}
    assert mode(settings.data_dir) == (0o700, os.getegid())
