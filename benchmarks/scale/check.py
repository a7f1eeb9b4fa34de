"""Comparison of what the simulated workers and clients did with the rows that are there in the end: lost and duplicated jobs.

Called by ``benchmarks.scale``.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from sqlalchemy import bindparam, text

from benchmarks.scale.simulated_worker import Record
from service.db.engine import Database

_STATES = "SELECT id, status, attempt, event_seq FROM jobs WHERE attempt > 0 AND claimed_at >= :since OR created_at >= :since"
_EVENTS = text(
    """
SELECT job_id, count(*) AS events, max(seq) AS highest, count(*) FILTER (WHERE data ->> 'status' = 'running') AS claims,
    count(DISTINCT attempt) FILTER (WHERE data ->> 'status' = 'running') AS attempts,
    count(*) FILTER (WHERE data ->> 'status' = 'succeeded') AS ends
FROM events WHERE job_id IN :ids GROUP BY job_id
"""
).bindparams(bindparam("ids", expanding=True))
_BATCH = 5000


def check(database: Database, records: Iterable[Record], since: Any) -> dict[str, int]:
    """Numbers of jobs, all of which are 0 where the service keeps its promises. ``since``: when the load began, by the database.

    ``lost``: submitted, claimed or ended, and the row says otherwise. ``duplicated``: one attempt was claimed twice, by the workers
    or by the rows, or a job ended twice. ``left_running``: no worker holds them. ``gaps``: events without gapless numbers.
    """
    every = list(records)
    claims = Counter(claim for record in every for claim in record.claimed)
    submitted = {job for record in every for job in record.submitted}
    succeeded = Counter(job for record in every for job in record.succeeded)
    with database.read() as session:
        rows = {row.id: row for row in session.execute(text(_STATES), {"since": since})}
        ids = list(rows)
        events = {
            row.job_id: row
            for start in range(0, len(ids), _BATCH)
            for row in session.execute(_EVENTS, {"ids": ids[start : start + _BATCH]})
        }
    lost = {job for job in submitted | {job for job, _ in claims} if job not in rows}
    lost |= {job for job in succeeded if job in rows and rows[job].status != "succeeded"}
    lost |= {job for job, attempt in claims if job in rows and rows[job].attempt < attempt}
    lost |= {job for job, row in rows.items() if row.status == "succeeded" and job not in succeeded}
    twice = {job for (job, _), count in claims.items() if count > 1} | {job for job, count in succeeded.items() if count > 1}
    twice |= {job for job, row in events.items() if row.ends > 1 or row.claims != row.attempts or row.claims != rows[job].attempt}
    return {
        "claimed": sum(claims.values()),
        "succeeded": sum(succeeded.values()),
        "submitted": len(submitted),
        "leases_lost": sum(record.leases_lost for record in every),
        "lost": len(lost),
        "duplicated": len(twice),
        "left_running": sum(row.status == "running" for row in rows.values()),
        "gaps": sum(job not in events or {events[job].events, events[job].highest} != {row.event_seq} for job, row in rows.items()),
    }
