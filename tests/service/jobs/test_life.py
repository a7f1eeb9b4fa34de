"""Model-based test of the job state machine: users, workers and reapers in any order."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from service.artifacts import store
from service.db.engine import Database
from service.errors import ArtifactMismatchError, IllegalTransitionError, LeaseLostError
from service.jobs import claims, commands
from service.jobs.fence import Fence
from service.jobs.reaper import reap_expired_leases
from service.states import TERMINAL, Status
from tests.faults import invariants
from tests.service import factories

MAX_ATTEMPTS = 3
S = Status


@dataclass
class Model:
    """What a job should be."""

    status: Status = S.QUEUED
    attempt: int = 0
    spent: int = 0
    cancel: bool = False
    pause: bool = False
    lapsed: bool = False

    def leave(self, to: Status) -> None:
        self.status, self.pause, self.lapsed = to, False, False


class Life(RuleBasedStateMachine):
    """Rules are what can happen; each checks that the store allows exactly what the model allows."""

    database: Database
    folder: Path
    jobs = Bundle("jobs")
    runs = Bundle("runs")

    @initialize()
    def empty(self) -> None:
        self.model: dict[str, Model] = {}
        with self.database.write() as session:
            session.execute(text("DELETE FROM jobs"))

    @rule(target=jobs)
    def submit(self) -> str:
        job_id = factories.queued(self.database)
        self.model[job_id] = Model()
        return job_id

    @rule(target=runs)
    def claim(self) -> object:
        job = factories.claim(self.database)
        waiting = [job_id for job_id, model in self.model.items() if model.status is S.QUEUED]
        if job is None:
            assert waiting == []
            return multiple()
        assert job.id in waiting
        model = self.model[job.id]
        model.status, model.attempt = S.RUNNING, model.attempt + 1
        assert job.attempt == model.attempt
        return Fence.from_row(job)

    @rule(job_id=jobs)
    def cancel(self, job_id: str) -> None:
        model = self.model[job_id]
        self._asked(commands.request_cancel, job_id, model.status not in (S.SUCCEEDED, S.FAILED))
        if model.status is S.RUNNING and not model.lapsed:
            model.cancel = True
        elif model.status not in TERMINAL:
            model.cancel = True
            model.leave(S.CANCELLED)

    @rule(job_id=jobs)
    def pause(self, job_id: str) -> None:
        model = self.model[job_id]
        allowed = model.status not in TERMINAL and not model.cancel
        self._asked(commands.request_pause, job_id, allowed)
        if allowed and model.status is S.RUNNING and not model.lapsed:
            model.pause = True
        elif allowed:
            model.leave(S.PAUSED)

    @rule(job_id=jobs)
    def resume(self, job_id: str) -> None:
        model = self.model[job_id]
        self._asked(commands.resume, job_id, model.status not in TERMINAL)
        if model.status is S.PAUSED:
            model.status = S.QUEUED
        model.pause = False

    @rule(job_id=jobs)
    def delete(self, job_id: str) -> None:
        if job_id in self.model and self.model[job_id].status not in TERMINAL:
            with pytest.raises(IllegalTransitionError), self.database.write() as session:
                commands.delete(session, job_id)

    @rule(job_id=jobs)
    def lapse(self, job_id: str) -> None:
        factories.expire_leases(self.database, *([job_id] if self.model[job_id].status is S.RUNNING else []))
        self.model[job_id].lapsed = self.model[job_id].status is S.RUNNING

    @rule()
    def rescue(self) -> None:
        with self.database.write() as session:
            rescued = reap_expired_leases(session, max_attempts=MAX_ATTEMPTS, retry_delay_seconds=0)
        assert set(rescued) == {job_id for job_id, model in self.model.items() if model.lapsed}
        for job_id in rescued:
            self._spend(self.model[job_id])

    @rule(run=runs)
    def heartbeat(self, run: Fence) -> None:
        model = self.model[run.job_id]
        with self._fenced(run), self.database.write() as session:
            wishes = claims.renew_lease(session, run, lease_seconds=60)
            assert (wishes.cancel, wishes.pause) == (model.cancel, model.pause)
            model.lapsed = False

    @rule(run=runs)
    def event(self, run: Fence) -> None:
        with self._fenced(run), self.database.write() as session:
            claims.record_event(session, run, "log", {"message": "x"})

    @rule(run=runs)
    def half_an_artifact(self, run: Fence) -> None:
        """Announced with a digest that is not its own, as by a worker that dies."""
        file = self.folder / "half"
        file.write_bytes(b"half")
        expected = ArtifactMismatchError if self._holds(run) else LeaseLostError
        with pytest.raises(expected):
            store.put(
                self.database, run, name="half", media_type="text/plain", path=file, size=4, sha256="0" * 64, chunk_bytes=4096
            )

    @rule(run=runs)
    def succeed(self, run: Fence) -> None:
        with self._fenced(run):
            job = factories.load(self.database, run.job_id)
            job.attempt = run.attempt
            mask = factories.store_file(self.database, job, self.folder / "mask", b"mask")
            with self.database.write() as session:
                claims.succeed(session, run, result={}, mask_artifact_id=mask)
            self.model[run.job_id].leave(S.SUCCEEDED)

    @rule(run=runs)
    def fail(self, run: Fence) -> None:
        with self._fenced(run):
            with self.database.write() as session:
                claims.fail(session, run, error=factories.LOST)
            self.model[run.job_id].leave(S.FAILED)

    @rule(run=runs)
    def fail_for_now(self, run: Fence) -> None:
        with self._fenced(run):
            with self.database.write() as session:
                claims.retry_or_fail(session, run, error=factories.LOST, retry_delay_seconds=0, max_attempts=MAX_ATTEMPTS)
            self._spend(self.model[run.job_id])

    @rule(run=runs, pause=st.booleans())
    def hand_back(self, run: Fence, pause: bool) -> None:
        model = self.model[run.job_id]
        with self._fenced(run):
            with self.database.write() as session:
                if pause:
                    claims.pause(session, run)
                else:
                    claims.requeue(session, run, reason="worker_shutdown")
            model.leave(S.CANCELLED if model.cancel else S.PAUSED if model.pause else S.QUEUED)

    @precondition(lambda self: self.model)
    @invariant()
    def rows_are_as_the_model_has_them(self) -> None:
        for job_id, model in self.model.items():
            job = factories.load(self.database, job_id)
            assert (job.status, job.attempt, job.attempts_spent) == (model.status, model.attempt, model.spent)

    def teardown(self) -> None:
        found = invariants.find_violations(self.database, self.model, max_attempts=MAX_ATTEMPTS, ended=False)
        assert found.all == []

    def _spend(self, model: Model) -> None:
        model.spent += 1
        if model.cancel:
            model.leave(S.CANCELLED)
        elif model.spent >= MAX_ATTEMPTS:
            model.leave(S.FAILED)
        else:
            model.leave(S.PAUSED if model.pause else S.QUEUED)

    def _holds(self, run: Fence) -> bool:
        model = self.model[run.job_id]
        return (model.status, model.attempt) == (S.RUNNING, run.attempt)

    def _fenced(self, run: Fence) -> "FencedWrite":
        return FencedWrite(self._holds(run))

    def _asked(self, ask: object, job_id: str, allowed: bool) -> None:
        with Refusal(not allowed), self.database.write() as session:
            ask(session, job_id)  # type: ignore[operator]


class _Expected:
    """A block that must raise ``error`` if and only if it is due."""

    error: type[Exception]

    def __init__(self, due: bool) -> None:
        self.due = due

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        raised = kind is not None and issubclass(kind, self.error)
        assert raised == self.due or (kind is not None and not raised), f"{self.error.__name__} due: {self.due}"
        return raised


class FencedWrite(_Expected):
    """Writes of a run that lost its job are refused."""

    error = LeaseLostError

    def __init__(self, holds: bool) -> None:
        super().__init__(not holds)


class Refusal(_Expected):
    """Wishes that the state does not allow are refused."""

    error = IllegalTransitionError


@pytest.fixture
def life(database: Database, tmp_path: Path) -> type[Life]:
    """The machine on this test's database."""
    return type("LifeHere", (Life,), {"database": database, "folder": tmp_path})


@pytest.mark.slow
def test_any_order_of_operations_agrees_with_the_model(life: type[Life]) -> None:
    run_state_machine_as_test(
        life,
        settings=settings(
            max_examples=12,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
