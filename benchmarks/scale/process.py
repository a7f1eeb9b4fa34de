"""One process of the load: a share of the simulated workers, or all simulated clients.

Called by ``benchmarks.scale.load`` as the target of a forked process.
"""

import gc
import os
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.scale import clients
from benchmarks.scale.schedule import Schedule, Timings
from benchmarks.scale.simulated_worker import Record, SimulatedWorker
from service.db.engine import Database
from service.settings import Settings
from worker.context import Context

_MASK_BYTES = 16 * 1024


@dataclass(frozen=True)
class Plan:
    """What one process does."""

    database_url: str
    seed: int
    threads: int
    """Threads of the schedule, each with a connection to the database while it works."""
    workers: int
    claimers: int
    """Connections that claim as fast as they can and run nothing."""
    submitters: int
    readers: int
    read_ids: tuple[str, ...]
    """Jobs whose state is asked for."""
    warm_up_seconds: float
    seconds: float
    """Of the measurement, after the warm-up."""
    job_seconds: float
    step_seconds: float
    submit_seconds: float
    read_seconds: float


@dataclass(frozen=True)
class Outcome:
    """What one process measured."""

    timings: dict[str, Timings]
    record: Record
    done: Counter[str]
    failures: list[str]
    overdue: int
    cpu_seconds: float
    """Of this process, in the measurement."""


def run(plan: Plan, barrier: Barrier, results: Connection) -> None:
    """Wait for the other processes, work, send the outcome."""
    random.seed(plan.seed)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    with TemporaryDirectory(prefix="espalier-scale-work-") as folder:
        work = Path(folder)
        (work / "artifacts").mkdir()
        (work / "artifacts" / "mask.safetensors").write_bytes(random.randbytes(_MASK_BYTES))
        settings = Settings(data_dir=work, database_url=plan.database_url)
        database = Database(plan.database_url)
        schedule, record = Schedule(max(plan.threads, plan.claimers)), Record()
        crowd = [
            SimulatedWorker(
                Context(settings, database, worker_id=f"scale:{plan.seed}:{number}"),
                schedule,
                record,
                work,
                job_seconds=plan.job_seconds,
                step_seconds=plan.step_seconds,
            )
            for number in range(plan.workers)
        ]
        gc.freeze()
        barrier.wait()
        measure_from = time.monotonic() + plan.warm_up_seconds
        until = measure_from + plan.seconds
        for worker in crowd:
            worker.start(plan.warm_up_seconds)
        clients.start_submitters(schedule, database, record, count=plan.submitters, every_seconds=plan.submit_seconds)
        clients.start_claimers(schedule, database, record, count=plan.claimers, lease_seconds=settings.lease_seconds)
        used = _CpuFrom(plan.warm_up_seconds)
        reading = threading.Thread(target=schedule.run, kwargs={"measure_from": measure_from, "until": until})
        reading.start()
        status = clients.read_status(
            database, plan.read_ids, count=plan.readers, every_seconds=plan.read_seconds, measure_from=measure_from, until=until
        )
        reading.join()
        cpu_seconds = used.stop()
        barrier.wait()  # the statistics of statements are read before the workers sign off
        barrier.wait()
        for worker in crowd:
            worker.stop()
        if plan.claimers:
            clients.requeue_claimed(database, record)
        database.dispose()
        timings = schedule.timings | ({"status": status} if plan.readers else {})
        results.send(Outcome(timings, record, schedule.done, schedule.failures, schedule.overdue, cpu_seconds))


class _CpuFrom:
    """Processor time of this process from a moment on."""

    def __init__(self, after_seconds: float) -> None:
        self._at = time.process_time()
        self._timer = threading.Timer(after_seconds, self._begin)
        self._timer.start()

    def _begin(self) -> None:
        self._at = time.process_time()

    def stop(self) -> float:
        """Seconds since then."""
        self._timer.cancel()
        return time.process_time() - self._at
