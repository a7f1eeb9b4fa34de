"""One random fault schedule: what is broken, when, in which order; and mended in the end. Used by ``tests.faults``."""

import os
import random
import signal
from collections.abc import Callable

import redis

from pruning import failpoints as trainer_failpoints
from service import failpoints
from service.errors import IllegalTransitionError
from service.jobs import commands
from service.states import TERMINAL, Status
from tests.faults import invariants
from tests.faults.cluster import Site
from tests.faults.prefork_server import Started
from tests.services import RedisServer
from tests.waiting import until

JOBS, FAULTS = 6, 8
BEHAVIOURS = ("steady", "steady", "steady", "success", "first_fails", "permanent", "garbage")
IN_API = frozenset(point for point in failpoints.Failpoint if point.startswith(("submit", "control")))
IN_WORKER = tuple(point for point in failpoints.Failpoint if point not in IN_API)


class Chaos:
    """Breaks ``site`` as ``dice`` say; ``done`` tells what was done."""

    def __init__(self, site: Site, broker: RedisServer | None, dice: random.Random) -> None:
        self.site, self.dice, self.done = site, dice, list[str]()
        self._broker = broker
        self._api: Started | None = None
        self._workers: list[Started] = []
        self._frozen: list[Started] = []

    def rage(self) -> None:
        """Everything, in some order; afterwards the service is whole again and only has to finish."""
        self._api = self.site.api(self.dice.choice([*sorted(IN_API), None, None]))
        self._hire(self.dice.choice([*IN_WORKER, *trainer_failpoints.Failpoint]))
        self._hire(None)
        acts: list[Callable[[], object]] = [self._submit] * JOBS + [
            self.dice.choice(self._faults()) for _ in range(FAULTS)
        ]
        self.dice.shuffle(acts)
        for act in acts:
            self._wait_for_news()
            act()
        self._mend()

    def _faults(self) -> list[Callable[[], object]]:
        faults = [
            self._kill_worker, self._kill_trainer, self._kill_api, self._freeze, self._thaw, self._lapse, self._ring,
            self._term, self._cancel, self._pause, self._resume,
        ]  # fmt: skip
        return [*faults, *([self._kill_broker, self._empty_broker, self._cut_broker] if self._broker else [])]

    def _wait_for_news(self) -> None:
        """Until something has happened, so that faults fall into different moments; or for a moment if nothing does."""
        seen = self._events()
        wanted = seen + self.dice.randint(0, 6)
        try:
            until(lambda: self._events() >= wanted, seconds=0.5, what="news")
        except AssertionError:
            return

    def _events(self) -> int:
        with self.site.database.read() as session:
            return sum(commands.get(session, job_id).event_seq for job_id in commands.page(session, limit=1000)[0])

    def _submit(self) -> None:
        if self._api is None or self._api.code is not None:
            self._api = self.site.api()
        if self.site.post(self.dice.choice(BEHAVIOURS)) is None:
            self.done.append("submission-cut")

    def _hire(self, at: failpoints.Failpoint | trainer_failpoints.Failpoint | None) -> None:
        self._workers.append(self.site.worker(at))
        if at is not None:
            self.done.append(f"crash-at-{at}")

    def _some_worker(self) -> Started | None:
        self._workers = [worker for worker in self._workers if worker.code is None]
        return self.dice.choice(self._workers) if self._workers else None

    def _kill_worker(self) -> None:
        if worker := self._some_worker():
            worker.kill()
            self.done.append("kill-worker")
        self._hire(self.dice.choice([None, self.dice.choice(IN_WORKER)]))

    def _term(self) -> None:
        worker = self._some_worker()
        if worker is not None and worker not in self._frozen:
            worker.signal(signal.SIGTERM)
            self.done.append("term-worker")
        self._hire(None)

    def _kill_trainer(self) -> None:
        trainers = invariants.processes(self.site.settings.data_dir / "work")
        if trainers:
            try:
                os.kill(self.dice.choice(trainers), signal.SIGKILL)
            except ProcessLookupError:
                return
            self.done.append("kill-trainer")

    def _kill_api(self) -> None:
        if self._api is not None and self._api.code is None:
            self._api.kill()
            self.done.append("kill-api")

    def _freeze(self) -> None:
        """Not on SQLite: whoever is frozen there may hold the one lock that everybody needs."""
        worker = self._some_worker()
        if worker is not None and self._broker is not None and not self._frozen:
            worker.signal(signal.SIGSTOP)
            self._frozen.append(worker)
            self.done.append("freeze-worker")

    def _thaw(self) -> None:
        while self._frozen:
            self._frozen.pop().signal(signal.SIGCONT)

    def _lapse(self) -> None:
        """Every lease runs out, even those of workers that live: they find out that their job is another's."""
        if not self._frozen:  # a frozen one may hold its job's row
            self.site.lapse()
            self.done.append("lapse")

    def _ring(self) -> None:
        self.site.ring(10)
        self.done.append("ten-rings")

    def _wish(self, wish: Callable[..., object], name: str) -> None:
        if self._frozen or not self.site.accepted:
            return
        job_id = self.dice.choice(self.site.accepted)
        try:
            self.site.change(wish, job_id)
        except IllegalTransitionError:
            return
        self.done.append(name)

    def _cancel(self) -> None:
        self._wish(commands.request_cancel, "cancel")

    def _pause(self) -> None:
        self._wish(commands.request_pause, "pause")

    def _resume(self) -> None:
        self._wish(commands.resume, "resume")

    def _kill_broker(self) -> None:
        assert self._broker is not None
        self._broker.kill()
        self._broker.start()
        self.done.append("kill-broker")

    def _empty_broker(self) -> None:
        assert self._broker is not None
        with redis.Redis.from_url(self._broker.url) as client:
            client.flushall()
        self.done.append("empty-broker")

    def _cut_broker(self) -> None:
        assert self._broker is not None
        with redis.Redis.from_url(self._broker.url) as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        self.done.append("cut-broker")

    def _mend(self) -> None:
        """No more faults: a worker without a failpoint, nobody frozen, nobody dead that still has a lease, nothing paused."""
        self._thaw()
        for worker in self._workers:
            if worker.code is None:
                worker.kill()
        self.site.lapse()
        self._hire(None)
        for job_id in self.site.accepted:
            until(lambda job_id=job_id: self._goes_on(job_id), seconds=120, what=f"{job_id}: {self.site.logs()}")  # type: ignore[misc]

    def _goes_on(self, job_id: str) -> bool:
        """Whether a job has ended; resumes one that was paused."""
        if self.site.job(job_id).status is Status.PAUSED:
            self.site.change(commands.resume, job_id)
        return self.site.job(job_id).status in TERMINAL
