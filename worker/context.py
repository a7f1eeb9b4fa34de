"""Worker context: shared state of the threads of one worker process.

Settings, database, the worker's name, its slots and devices, and whether it is stopping. Made by ``worker.app`` at the start and
passed down; nothing else in this package is global.
"""

import os
import secrets
import shutil
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from pruning import __version__
from service.db.engine import Database
from service.monitoring.registry import process_registry
from service.settings import Settings
from worker.devices import Devices, find_gpus
from worker.monitoring.host_metrics import GpuCollector, HostCollector
from worker.monitoring.job_metrics import JobMetrics

_ID_CHARACTERS = 100


def _new_id() -> str:
    """Name of a worker: readable, and unique even where the operating system reuses a process number."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"[-_ID_CHARACTERS:]


@dataclass
class Context:
    """One worker process."""

    settings: Settings
    database: Database
    worker_id: str = field(default_factory=_new_id)
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set once: claim nothing more, stop the trainers, requeue their jobs."""
    devices: Devices = field(init=False)
    """Guarded by ``devices_lock``."""
    devices_lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while free devices are counted and acquired, so that two jobs never get the same."""
    registry: CollectorRegistry = field(init=False)
    """Metrics of this worker, for Prometheus."""
    metrics: JobMetrics = field(init=False)
    """Those that its jobs are counted with."""
    _busy: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        gpus = find_gpus(os.environ)
        shares = self.settings.worker_devices or max(len(gpus), self.settings.worker_slots)
        self.devices = Devices(gpus, shares)
        self.registry = process_registry("worker", __version__, self.database)
        self.metrics = JobMetrics(self.registry)
        self.registry.register(HostCollector(self.settings.worker_slots, lambda: self._busy, self.settings.data_dir))
        if gpus and (tool := shutil.which("nvidia-smi")) is not None:
            self.registry.register(GpuCollector(tool))

    @contextmanager
    def slot(self) -> Iterator[bool]:
        """Hold a slot inside the block; whether there was a free one."""
        with self._lock:
            acquired = self._busy < self.settings.worker_slots
            self._busy += acquired
        try:
            yield acquired
        finally:
            with self._lock:
                self._busy -= acquired

    @contextmanager
    def release_afterwards(self, devices: Sequence[str]) -> Iterator[None]:
        """Release acquired devices at the end of the block."""
        try:
            yield
        finally:
            with self.devices_lock:
                self.devices.release(devices)

    @property
    def free_slots(self) -> int:
        """How many more jobs this worker could run now."""
        return max(0, self.settings.worker_slots - self._busy)
