"""Slots, disk and GPUs of a worker at the moment of a scrape."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from tests.worker.conftest import WorkerHarness
from worker.monitoring.host_metrics import GpuCollector


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_slots_and_disk(harness: WorkerHarness) -> None:
    registry = harness.context.registry
    harness.context.settings.data_dir.mkdir(exist_ok=True)
    with harness.context.slot():
        assert registry.get_sample_value("espalier_slots_busy") == registry.get_sample_value("espalier_slots") == 1
    assert registry.get_sample_value("espalier_slots_busy") == 0
    total, free = (registry.get_sample_value(f"espalier_disk_{name}") or 0 for name in ("bytes", "free_bytes"))
    assert total >= free > 0


def gpu_registry(folder: Path, script: str) -> CollectorRegistry:
    """Metrics by an nvidia-smi that is this shell script."""
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    registry = CollectorRegistry()
    registry.register(GpuCollector(str(tool)))
    return registry


def test_memory_of_each_gpu(tmp_path: Path) -> None:
    registry = gpu_registry(tmp_path, "echo 'GPU-1, 1024, 143771, 37'\necho 'GPU-2, 0, 81559, [N/A]'")
    assert registry.get_sample_value("espalier_gpu_memory_used_bytes", {"gpu": "GPU-1"}) == 1024 * 2**20
    assert registry.get_sample_value("espalier_gpu_memory_bytes", {"gpu": "GPU-2"}) == 81559 * 2**20
    assert registry.get_sample_value("espalier_gpu_utilization_ratio", {"gpu": "GPU-1"}) == pytest.approx(0.37)
    assert registry.get_sample_value("espalier_gpu_utilization_ratio", {"gpu": "GPU-2"}) is None


def test_a_driver_that_fails_leaves_the_metrics_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    registry = gpu_registry(tmp_path, "echo 'GPU-1, 1, 1, 1'; exit 9")
    assert registry.get_sample_value("espalier_gpu_memory_bytes", {"gpu": "GPU-1"}) is None
    assert "nvidia-smi" in caplog.text
