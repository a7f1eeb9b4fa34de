"""Random fault schedule: submits jobs and breaks a cluster in an order that a seed decides, then repairs it.

Used by ``tests.faults`` and ``tests.faults.test_fault_schedule``.
"""

import os
import random
import signal
from collections.abc import Callable
from functools import partial

import redis

from pruning import failpoints as trainer_failpoints
from service import failpoints
from service.errors import IllegalTransitionError
from service.jobs import commands, queries
from service.states import TERMINAL, Status
from tests.faults import invariants
from tests.faults.cluster import Cluster
from tests.faults.prefork_server import ForkedProcess
from tests.services import RedisServer
from tests.waiting import wait_until

JOBS, FAULTS = 6, 8
BEHAVIOURS = ("steady", "steady", "steady", "success", "first_fails", "permanent", "garbage")
IN_API = frozenset(point for point in failpoints.Failpoint if point.startswith(("submit", "control")))
IN_WORKER = tuple(point for point in failpoints.Failpoint if point not in IN_API)


class FaultSchedule:
    """Breaks ``cluster`` as ``rng`` decides; ``faults`` lists what was done."""

    def __init__(self, cluster: Cluster, broker: RedisServer | None, rng: random.Random) -> None:
        self.cluster, self.rng, self.faults = cluster, rng, list[str]()
        self._broker = broker
        self._api: ForkedProcess | None = None
        self._workers: list[ForkedProcess] = []
        self._frozen: list[ForkedProcess] = []

    def run(self) -> None:
        """Submit and break in random order, then repair: afterwards the jobs only have to finish."""
        self._api = self.cluster.start_api(self.rng.choice([*sorted(IN_API), None, None]))
        self._start_worker(self.rng.choice([*IN_WORKER, *trainer_failpoints.Failpoint]))
        self._start_worker(None)
        steps: list[Callable[[], object]] = [self._submit] * JOBS + [self.rng.choice(self._faults()) for _ in range(FAULTS)]
        self.rng.shuffle(steps)
        for step in steps:
            self._wait_for_events()
            step()
        self._repair()

    def _faults(self) -> list[Callable[[], object]]:
        faults: list[Callable[[], object]] = [
            self._kill_worker,
            self._kill_trainer,
            self._kill_api,
            self._freeze_worker,
            self._unfreeze,
            self._expire_leases,
            self._notify_workers,
            self._terminate_worker,
            self._cancel,
            self._pause,
            self._resume,
        ]
        return [*faults, *([self._kill_broker, self._empty_broker, self._cut_broker] if self._broker else [])]

    def _wait_for_events(self) -> None:
        """Wait for a few events, so that faults fall into different moments; or half a second if none come."""
        seen = self._events()
        wanted = seen + self.rng.randint(0, 6)
        try:
            wait_until(lambda: self._events() >= wanted, seconds=0.5, what="events")
        except AssertionError:
            return

    def _events(self) -> int:
        with self.cluster.database.read() as session:
            return sum(queries.get(session, job_id).event_seq for job_id in queries.page(session, limit=1000)[0])

    def _submit(self) -> None:
        if self._api is None or self._api.exit_code is not None:
            self._api = self.cluster.start_api()
        if self.cluster.post(self.rng.choice(BEHAVIOURS)) is None:
            self.faults.append("submission-cut")

    def _start_worker(self, at: failpoints.Failpoint | trainer_failpoints.Failpoint | None) -> None:
        self._workers.append(self.cluster.start_worker(at))
        if at is not None:
            self.faults.append(f"crash-at-{at}")

    def _some_worker(self) -> ForkedProcess | None:
        self._workers = [worker for worker in self._workers if worker.exit_code is None]
        return self.rng.choice(self._workers) if self._workers else None

    def _kill_worker(self) -> None:
        if worker := self._some_worker():
            worker.kill()
            self.faults.append("kill-worker")
        self._start_worker(self.rng.choice([None, self.rng.choice(IN_WORKER)]))

    def _terminate_worker(self) -> None:
        worker = self._some_worker()
        if worker is not None and worker not in self._frozen:
            worker.signal(signal.SIGTERM)
            self.faults.append("term-worker")
        self._start_worker(None)

    def _kill_trainer(self) -> None:
        trainers = invariants.processes_under(self.cluster.settings.data_dir / "work")
        if trainers:
            try:
                os.kill(self.rng.choice(trainers), signal.SIGKILL)
            except ProcessLookupError:
                return
            self.faults.append("kill-trainer")

    def _kill_api(self) -> None:
        if self._api is not None and self._api.exit_code is None:
            self._api.kill()
            self.faults.append("kill-api")

    def _freeze_worker(self) -> None:
        """Not on SQLite: a frozen process there may hold the one write lock."""
        worker = self._some_worker()
        if worker is not None and self._broker is not None and not self._frozen:
            worker.signal(signal.SIGSTOP)
            self._frozen.append(worker)
            self.faults.append("freeze-worker")

    def _unfreeze(self) -> None:
        while self._frozen:
            self._frozen.pop().signal(signal.SIGCONT)

    def _expire_leases(self) -> None:
        """Expire every lease, even those of live workers, which notice that their job is another's."""
        if not self._frozen:  # a frozen one may hold its job's row
            self.cluster.expire_leases()
            self.faults.append("expire-leases")

    def _notify_workers(self) -> None:
        self.cluster.notify_workers(10)
        self.faults.append("ten-notifications")

    def _request(self, command: Callable[..., object], name: str) -> None:
        if self._frozen or not self.cluster.accepted:
            return
        job_id = self.rng.choice(self.cluster.accepted)
        try:
            self.cluster.write(command, job_id)
        except IllegalTransitionError:
            return
        self.faults.append(name)

    def _cancel(self) -> None:
        self._request(commands.request_cancel, "cancel")

    def _pause(self) -> None:
        self._request(commands.request_pause, "pause")

    def _resume(self) -> None:
        self._request(commands.resume, "resume")

    def _kill_broker(self) -> None:
        assert self._broker is not None
        self._broker.kill()
        self._broker.start()
        self.faults.append("kill-broker")

    def _empty_broker(self) -> None:
        assert self._broker is not None
        with redis.Redis.from_url(self._broker.url) as client:
            client.flushall()
        self.faults.append("empty-broker")

    def _cut_broker(self) -> None:
        assert self._broker is not None
        with redis.Redis.from_url(self._broker.url) as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        self.faults.append("cut-broker")

    def _repair(self) -> None:
        """End all faults: no process is frozen or has a failpoint, no killed worker keeps a lease, no job stays paused."""
        self._unfreeze()
        for worker in self._workers:
            if worker.exit_code is None:
                worker.kill()
        self.cluster.expire_leases()
        self._start_worker(None)
        for job_id in self.cluster.accepted:
            wait_until(partial(self._resumed_or_ended, job_id), seconds=120, what=f"{job_id}: {self.cluster.logs()}")

    def _resumed_or_ended(self, job_id: str) -> bool:
        """Whether a job has ended; resumes one that was paused."""
        if self.cluster.job(job_id).status is Status.PAUSED:
            self.cluster.write(commands.resume, job_id)
        return self.cluster.job(job_id).status in TERMINAL
