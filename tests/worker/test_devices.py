"""Devices of a worker, and their allocation to jobs."""

from pathlib import Path

import pytest

from tests.worker.conftest import WorkerHarness
from worker import devices
from worker.devices import Devices, find_gpus


def tool(folder: Path, script: str) -> dict[str, str]:
    """An environment in which ``nvidia-smi`` is this shell script."""
    folder.joinpath("nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
    folder.joinpath("nvidia-smi").chmod(0o755)
    return {"PATH": str(folder)}


@pytest.mark.parametrize(
    ("given", "names"), [("0,2", ["0", "2"]), (" GPU-a , GPU-b", ["GPU-a", "GPU-b"]), ("", []), ("-1", []), ("1,-1,0", ["1"])]
)
def test_the_variable_decides_where_it_is_set(tmp_path: Path, given: str, names: list[str]) -> None:
    assert find_gpus({**tool(tmp_path, "echo GPU-x"), "CUDA_VISIBLE_DEVICES": given}) == names


def test_without_the_variable_the_driver_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_DRIVER", tmp_path / "driver")
    assert find_gpus(tool(tmp_path, "printf 'GPU-x\\nGPU-y\\n'")) == ["GPU-x", "GPU-y"]
    assert find_gpus({"PATH": ""}) == []
    for card in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / "driver" / card).mkdir(parents=True)
    assert find_gpus({"PATH": ""}) == find_gpus(tool(tmp_path, "exit 9")) == ["0", "1"]


def test_each_job_gets_devices_of_its_own() -> None:
    host = Devices(["GPU-a", "GPU-b", "GPU-c"], 3)
    first = host.acquire(2)
    assert (first, host.visible(first), host.free, host.total) == (("GPU-a", "GPU-b"), "GPU-a,GPU-b", 1, 3)
    with pytest.raises(ValueError, match=r"\b1\b"):
        host.acquire(2)
    assert host.acquire(1) == ("GPU-c",)
    host.release(first)
    assert host.free == 2


def test_shares_of_one_gpu_go_to_different_jobs() -> None:
    host = Devices(["GPU-a", "GPU-b"], 4)
    assert (host.total, host.free) == (2, 2)
    assert [host.acquire(1) for _ in range(3)] == [("GPU-a",), ("GPU-b",), ("GPU-a",)]
    assert host.free == 1
    assert host.acquire(1) == ("GPU-b",)
    assert host.free == 0


def test_without_a_gpu_slots_are_devices() -> None:
    host = Devices([], 2)
    assert (host.total, host.visible(host.acquire(2))) == (2, None)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_trainer_sees_the_gpus_of_its_job_which_are_released_afterwards(harness: WorkerHarness) -> None:
    harness.context.devices = Devices(["GPU-a", "GPU-b"], 2)
    harness.context.devices.acquire(1)
    job_id = harness.submit(devices=1)
    claimed = harness.claim()
    assert (claimed.devices, harness.context.devices.free) == (("GPU-b",), 0)
    harness.run(claimed, "first_fails")
    assert "CUDA_VISIBLE_DEVICES=GPU-b" in (harness.work_folder(job_id) / "environment").read_text().splitlines()
    assert harness.context.devices.free == 1
