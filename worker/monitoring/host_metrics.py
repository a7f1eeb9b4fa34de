"""Metrics of a worker's slots, disk and GPUs, as they are at the moment of a scrape.

Registered by ``worker.context``. The memory of GPUs is asked of ``nvidia-smi``, without which there is none of it.
"""

import csv
import logging
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from service.monitoring.definitions import GaugeDefinition
from service.operations.remembered import Remembered

SLOTS = GaugeDefinition("espalier_slots", "Jobs that this worker runs at a time")
BUSY = GaugeDefinition("espalier_slots_busy", "Jobs that it runs")
DISK = GaugeDefinition("espalier_disk_bytes", "Size of the file system that the data folder is on")
DISK_FREE = GaugeDefinition("espalier_disk_free_bytes", "What the worker may still write there")
GPU_USED = GaugeDefinition("espalier_gpu_memory_used_bytes", "Memory of a GPU that is in use, by all processes", ("gpu",))
GPU_TOTAL = GaugeDefinition("espalier_gpu_memory_bytes", "Memory of a GPU", ("gpu",))
GPU_BUSY = GaugeDefinition("espalier_gpu_utilization_ratio", "Share of the last moments in which a GPU computed", ("gpu",))
DEFINITIONS = (SLOTS, BUSY, DISK, DISK_FREE, GPU_USED, GPU_TOTAL, GPU_BUSY)
_NVIDIA_SMI_SECONDS = 5.0
_GPU_SECONDS = 5.0
"""How long an answer of nvidia-smi is used again: it starts a process, and several Prometheus servers may scrape."""
_MIB = 1024 * 1024
log = logging.getLogger(__name__)


class HostCollector(Collector):
    """Slots and disk of a worker."""

    def __init__(self, slots: int, busy: Callable[[], int], data_dir: Path) -> None:
        self._slots, self._busy, self._data_dir = slots, busy, data_dir

    def collect(self) -> Iterator[Metric]:
        """Their state at this moment."""
        yield SLOTS.family([((), self._slots)])
        yield BUSY.family([((), self._busy())])
        disk = shutil.disk_usage(self._data_dir)
        yield DISK.family([((), disk.total)])
        yield DISK_FREE.family([((), disk.free)])


class GpuCollector(Collector):
    """All GPUs that ``nvidia-smi`` shows in this container or on this host."""

    def __init__(self, tool: str) -> None:
        """``tool``: path of ``nvidia-smi``."""
        self._tool = tool
        self._rows: Remembered[list[list[str]]] = Remembered(_GPU_SECONDS)

    def collect(self) -> Iterator[Metric]:
        """What the driver says; nothing while it does not answer, and nothing in place of what it does not know."""
        rows = self._rows.get(self._query)
        for definition, column, unit in ((GPU_USED, 1, _MIB), (GPU_TOTAL, 2, _MIB), (GPU_BUSY, 3, 0.01)):
            yield definition.family(((row[0],), float(row[column]) * unit) for row in rows if _is_number(row[column]))

    def _query(self) -> list[list[str]]:
        command = [self._tool, "--query-gpu=uuid,memory.used,memory.total,utilization.gpu", "--format=csv,noheader,nounits"]
        try:
            listed = subprocess.run(
                command, capture_output=True, text=True, timeout=_NVIDIA_SMI_SECONDS, check=True, stdin=subprocess.DEVNULL
            )
        except (OSError, subprocess.SubprocessError) as error:
            log.warning("nvidia-smi does not answer, metrics of GPUs are left out: %s", error)
            return []
        return [row for row in csv.reader(listed.stdout.splitlines(), skipinitialspace=True) if len(row) == 4]


def _is_number(text: str) -> bool:
    """``[N/A]`` and the like are none: a GPU in MIG mode has no utilization."""
    return text.strip().isdecimal()
