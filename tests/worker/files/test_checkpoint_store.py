"""Checkpoints in the object storage: the newest two, complete, and never undone by a worker that is late."""

from pathlib import Path

import pytest

from service.artifacts.s3 import PART_BYTES, open_bucket
from service.ids import new_job_id
from tests import object_store
from worker.files import checkpoint_store
from worker.files.checkpoint_store import CopyInterruptedError, Interruption

JOB = new_job_id()
go_on = Interruption(lambda: False)


def filled(folder: Path, *steps: int) -> Path:
    folder.mkdir(exist_ok=True)
    for step in steps:
        (folder / f"step-{step:010d}.safetensors").write_bytes(content(step))
    return folder


def content(step: int) -> bytes:
    return f"state at {step}".encode() * 100


def stored(storage_url: str) -> list[int]:
    """Steps in the storage."""
    return sorted(int(name.rpartition("step-")[2].partition(".")[0]) for name in object_store.objects(storage_url))


def test_the_newest_two_are_kept_and_a_late_worker_changes_nothing(storage_url: str, tmp_path: Path) -> None:
    bucket = open_bucket(storage_url)
    for steps, expected in (((8,), [8]), ((8, 16, 24), [16, 24]), ((24, 100), [24, 100]), ((), [24, 100])):
        checkpoint_store.upload(bucket, JOB, filled(tmp_path / str(steps), *steps), go_on)
        assert stored(storage_url) == expected
    late = filled(tmp_path / "late", 32)
    (late / ".writing-40").write_bytes(b"half")
    checkpoint_store.upload(bucket, JOB, late, go_on)
    assert stored(storage_url) == [32, 100]
    checkpoint_store.upload(bucket, JOB, filled(tmp_path / "later", 9, 10), go_on)
    assert stored(storage_url) == [32, 100]


def test_a_host_fetches_only_newer_checkpoints(storage_url: str, tmp_path: Path) -> None:
    bucket, here = open_bucket(storage_url), filled(tmp_path / "here")
    assert checkpoint_store.fetch(bucket, JOB, here, go_on) is None
    checkpoint_store.upload(bucket, JOB, filled(tmp_path / "there", 8, 16), go_on)
    assert checkpoint_store.fetch(bucket, JOB, here, go_on) == "step-0000000016.safetensors"
    assert {file.name: file.read_bytes() for file in here.iterdir()} == {"step-0000000016.safetensors": content(16)}
    assert checkpoint_store.fetch(bucket, JOB, filled(tmp_path / "newer", 16), go_on) is None
    assert checkpoint_store.fetch(bucket, new_job_id(), filled(tmp_path / "other"), go_on) is None


def test_a_damaged_checkpoint_is_passed_over(storage_url: str, tmp_path: Path) -> None:
    bucket, here = open_bucket(storage_url), filled(tmp_path / "here")
    checkpoint_store.upload(bucket, JOB, filled(tmp_path / "there", 8, 16), go_on)
    bucket.put(f"checkpoints/{JOB}/step-0000000016.safetensors", [b"damaged"], metadata={"sha256": "0" * 64})
    assert checkpoint_store.fetch(bucket, JOB, here, go_on) == "step-0000000008.safetensors"
    assert [file.name for file in here.iterdir()] == ["step-0000000008.safetensors"]


def test_an_interrupted_copy_leaves_nothing(storage_url: str, tmp_path: Path) -> None:
    asked: list[None] = []

    def second_time() -> bool:
        asked.append(None)
        return len(asked) > 1

    folder = filled(tmp_path / "there")
    (folder / "step-1").write_bytes(b"x" * (PART_BYTES + 1))
    with pytest.raises(CopyInterruptedError):
        checkpoint_store.upload(open_bucket(storage_url), JOB, folder, Interruption(second_time))
    assert object_store.objects(storage_url) == {}
    assert open_bucket(storage_url).list_uploads("") == []
    checkpoint_store.upload(open_bucket(storage_url), JOB, folder, go_on)
    asked.clear()
    here = filled(tmp_path / "here")
    with pytest.raises(CopyInterruptedError):
        checkpoint_store.fetch(open_bucket(storage_url), JOB, here, Interruption(second_time))
    assert list(here.iterdir()) == []
