"""Sweeps on both databases: one submission, the latest job of each combination, one deletion."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from service.artifacts import store
from service.db.engine import Database
from service.db.models import Artifact, Job, Sweep
from service.errors import InvalidCursorError, SweepNotEndedError, SweepNotFoundError
from service.jobs import claims, commands, queries
from service.jobs.fence import Fence
from service.states import Status
from service.sweeps import sweeps
from service.sweeps.results import Mean, Row, build_table, progress
from service.sweeps.sweeps import Combination, Grid
from tests.service import factories

GRID = Grid(("smp-s", "magnitude"), (0.5, 0.9), (1, 2))


def submit(database: Database, grid: Grid = GRID, owner: str = "local") -> str:
    specs = [
        factories.SPEC | {"method": method, "sparsity": sparsity, "seed": seed} for method, sparsity, seed in grid.combinations()
    ]
    with database.write() as session:
        sweep, jobs = sweeps.create(
            session, grid=grid, base={"model": "acme/tiny"}, jobs=[{"spec": spec} for spec in specs], owner=owner
        )
        assert [sweeps.combination_of(job) for job in jobs] == grid.combinations()
        return sweep.id


def newest(database: Database, sweep_id: str) -> dict[Combination, Job]:
    with database.read() as session:
        return sweeps.latest_jobs(session, [sweeps.get(session, sweep_id)])[sweep_id]


def finish(database: Database, folder: Path, accuracy: float) -> Combination:
    """Let the next job succeed."""
    job = factories.claim(database)
    assert job is not None
    mask = factories.store_file(database, job, folder / "mask", b"mask")
    result = {
        "primary_metric": "accuracy",
        "before": {"accuracy": 0.5},
        "baseline": {"metrics": {"accuracy": 0.95}},
        "final": {"accuracy": accuracy},
        "remaining": 0.1,
        "mask_bytes": 4,
        "compact_mask_bytes": 3,
        "seconds": 2.5,
    }
    with database.write() as session:
        claims.succeed(session, Fence.from_row(job), result=result, mask_artifact_id=mask)
    return sweeps.combination_of(job)


def test_the_latest_job_of_a_combination_counts(database: Database) -> None:
    sweep_id = submit(database)
    job = factories.claim(database)
    assert job is not None
    combination = sweeps.combination_of(job)
    with database.write() as session:
        claims.fail(session, Fence.from_row(job), error=factories.LOST)
    assert newest(database, sweep_id)[combination].status is Status.FAILED
    with database.write() as session:
        again = commands.retry(session, job.id)
    counted = newest(database, sweep_id)
    assert len(counted) == len(GRID) == 8
    assert (counted[combination].id, counted[combination].status) == (again.id, Status.QUEUED)
    with database.read() as session:
        listed, _ = queries.page(session, limit=100, sweep=sweep_id)
        assert {queries.get(session, job_id).sweep_id for job_id in listed} == {sweep_id}
        assert len(listed) == 9
        assert queries.page(session, limit=100, sweep="swp_other") == ([], None)


def test_table_and_means(database: Database, tmp_path: Path) -> None:
    sweep_id = submit(database, Grid(("smp-s",), (0.9,), (1, 2, 3)))
    metrics = {finish(database, tmp_path, accuracy): accuracy for accuracy in (0.8, 0.9)}
    jobs = newest(database, sweep_id)
    with database.read() as session:
        grid = Grid.from_row(sweeps.get(session, sweep_id))
    found = build_table(grid, jobs)
    assert (found.metric, found.dense, found.fine_tuned) == ("accuracy", 0.5, 0.95)
    assert {(row.method, row.sparsity, row.seed): row.metric for row in found.rows if row.metric} == metrics
    waiting = next(combination for combination in grid.combinations() if combination not in metrics)
    assert next(row for row in found.rows if (row.method, row.sparsity, row.seed) == waiting) == Row(
        *waiting, job_id=jobs[waiting].id, status=Status.QUEUED
    )
    mean: Any = pytest.approx(0.85)
    assert found.means == (Mean("smp-s", 0.9, 2, mean, 0.8, 0.9, 0.1, 3.0),)
    assert progress(grid, jobs) == pytest.approx(2 / 3)
    assert progress(grid, {combination: jobs[combination] for combination in metrics}) == 1.0  # deleted jobs leave nothing to do
    assert build_table(grid, {}).rows == tuple(Row(*combination) for combination in grid.combinations())


def test_cancel_and_delete(database: Database, tmp_path: Path) -> None:
    sweep_id, other = submit(database), factories.queued(database)
    done = finish(database, tmp_path, 0.9)
    running = factories.claim(database)
    assert running is not None
    with pytest.raises(SweepNotEndedError), database.write() as session:
        sweeps.delete(session, sweep_id)
    for _ in range(2):
        with database.write() as session:
            sweeps.cancel(session, sweep_id)
    after = newest(database, sweep_id)
    assert after[done].status is Status.SUCCEEDED
    assert sweeps.count_by_status([*after.values()])[Status.CANCELLED] == 6
    assert after[sweeps.combination_of(running)].cancel_requested_at is not None
    with database.write() as session:
        claims.cancel(session, Fence.from_row(running))
    with database.write() as session:
        sweeps.delete(session, sweep_id)
    with database.read() as session:
        assert session.scalars(select(Job.id)).all() == [other]
        assert session.scalar(select(func.count()).select_from(Artifact)) == 0
        assert store.list_for_jobs(session, [other]) == {}
        with pytest.raises(SweepNotFoundError):
            sweeps.get(session, sweep_id)


def test_pages_and_owners(database: Database) -> None:
    small = Grid(("smp-s",), (0.5,), (1,))
    mine = [submit(database, small, owner="ann") for _ in range(3)]
    theirs = submit(database, small, owner="bob")
    with database.read() as session:
        seen, cursor = sweeps.page(session, limit=2, owner="ann")
        rest, end = sweeps.page(session, limit=2, owner="ann", after=cursor)
        assert sorted(sweep.id for sweep in [*seen, *rest]) == sorted(mine)
        assert end is None
        assert len(sweeps.page(session, limit=10)[0]) == 4
        with pytest.raises(SweepNotFoundError):
            sweeps.get(session, theirs, owner="ann")
        with pytest.raises(InvalidCursorError):
            sweeps.page(session, limit=2, after="bm9uc2Vuc2U")
    with pytest.raises(SweepNotFoundError), database.write() as session:
        sweeps.delete(session, theirs, owner="ann")


def test_deleting_the_row_of_a_sweep_keeps_its_jobs(database: Database) -> None:
    """The database itself never deletes a job in passing."""
    sweep_id = submit(database, Grid(("smp-s",), (0.5,), (1,)))
    with database.write() as session:
        session.delete(session.get_one(Sweep, sweep_id))
    with database.read() as session:
        assert [job.sweep_id for job in session.scalars(select(Job))] == [None]
