"""Metric history of a job: its reported numbers by step, without the steps that a resumed run repeated.

Called by ``api.routes.events``.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from sqlalchemy import Row, bindparam, func, select
from sqlalchemy.orm import Session

from api.schemas.events import MetricRow
from service.db.engine import Database
from service.db.models import Metric
from service.jobs import queries

_PAGE = 2000
_METRIC = Metric.__table__.c
_RESUMED = (
    select(
        _METRIC.attempt,
        func.min(_METRIC.step).label("first"),
        func.min(_METRIC.step).filter(_METRIC.step > 0).label("first_trained"),
    )
    .where(_METRIC.job_id == bindparam("job"))
    .group_by(_METRIC.attempt)
)
"""First step of every attempt. Step 0 is the evaluation of the dense model: an attempt that resumes from a checkpoint repeats it,
so the first step above 0 says where the attempt resumed."""


def read_steps(session: Session, job_id: str, *, after: int, limit: int) -> tuple[list[MetricRow], int | None]:
    """At most ``limit`` reports behind row ``after``, one per step, and where the next page begins (None: the end).

    A run that resumes from a checkpoint repeats the steps after it; of those only the later run's are returned. Reports of
    one step at different times (training, then evaluation) become one row.
    """
    rows, more = queries.metric_page(session, job_id, after=after, limit=limit)
    if more:  # the last step may continue behind the limit: it is left to the next page unless it is the only one
        complete = [row for row in rows if (row.attempt, row.step) != (rows[-1].attempt, rows[-1].step)]
        rows = complete or rows
    return list(_merge(rows, _resumed_at(session, job_id))), rows[-1].id if more else None


def iterate_steps(database: Database, job_id: str) -> Iterator[MetricRow]:
    """Every row of :func:`read_steps`, each page read in a transaction of its own."""
    after: int | None = 0
    while after is not None:
        with database.read() as session:
            page, after = read_steps(session, job_id, after=after, limit=_PAGE)
        yield from page


def _resumed_at(session: Session, job_id: str) -> dict[int, tuple[bool, int | None]]:
    """For each run: whether it reported step 0, and its first step above 0."""
    rows = session.connection().execute(_RESUMED, {"job": job_id})
    return {row.attempt: (row.first == 0, row.first_trained) for row in rows}


def _is_repeated(row: Row[Any], resumed_at: dict[int, tuple[bool, int | None]]) -> bool:
    """Whether a later run reported the step of ``row``, or began before it."""
    later = [first for attempt, first in resumed_at.items() if attempt > row.attempt]
    if row.step == 0:
        return any(from_zero for from_zero, _ in later)
    return any(trained is not None and trained <= row.step for _, trained in later)


def _merge(rows: Iterable[Row[Any]], resumed_at: dict[int, tuple[bool, int | None]]) -> Iterator[MetricRow]:
    valid = (row for row in rows if not _is_repeated(row, resumed_at))
    for (attempt, step), reports in groupby(valid, key=lambda row: (row.attempt, row.step)):
        values = {name: value for row in reports for name, value in row.values.items()}
        yield MetricRow(step=step, attempt=attempt, values=values)
