"""Rows of a service that has run for long: ended jobs with events and metrics, a queue, owners and their webhooks.

Called by ``benchmarks.scale`` on an empty, migrated PostgreSQL database. Rows are made inside the server, 10^5 jobs in some
seconds.
"""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from pruning.spec.schema import PruningSpec
from service.db.engine import Database

OWNERS = 200
_EVENTS, _METRICS = 6, 10
"""Rows of history that each ended job has; a real one has more metrics, which no statement measured here reads."""
_SPEC = {"model": "acme/small", "task": "sst2", "sparsity": 0.9, "max_steps": 1000}
_METRIC_VALUES = {"loss": 0.31, "regularizer": 1.9, "remaining": 0.42, "learning_rate": 0.02, "grad_norm": 0.7}
_ERROR = {"code": "worker_lost", "message": "lost", "param": None, "kind": "system", "retryable": True}
_JOBS = """
INSERT INTO jobs (id, status, owner, spec, model, task, method, metadata, priority, metrics, attempt, attempts_spent, step,
    event_seq, not_before, created_at, updated_at, claimed_at, started_at, finished_at, error, record_bytes, checkpoint_bytes,
    run_seconds, lease_expiries, devices)
SELECT 'job_' || lpad(n::text, 26, '0'), CASE WHEN over THEN 'failed' ELSE 'queued' END, 'owner-' || n % :owners, :spec,
    'acme/small', 'sst2', 'smp-s', '{}', CASE WHEN n % 10 = 0 THEN 5 ELSE 0 END, CASE WHEN over THEN :metrics ELSE '{}' END::json,
    over::int, 0, over::int * 1000, CASE WHEN over THEN :events ELSE 1 END, moment, moment, moment,
    CASE WHEN over THEN moment END, CASE WHEN over THEN moment END, CASE WHEN over THEN moment + interval '1 hour' END,
    CASE WHEN over THEN :error END::json, 4000, 0, over::int * 3600, 0, 1
FROM (
    SELECT n, n <= :ended AS over, now() - interval '2 hours' - make_interval(secs => :jobs - n) AS moment
    FROM generate_series(1, :jobs) AS n
) AS counted
"""
_HISTORY = [
    """
INSERT INTO events (job_id, seq, attempt, type, data, created_at)
SELECT jobs.id, seq, LEAST(seq - 1, 1), 'status',
    CASE seq WHEN 1 THEN '{"status": "queued"}' ELSE '{"status": "running"}' END::json, jobs.created_at
FROM jobs, generate_series(1, :events) AS seq WHERE seq <= jobs.event_seq
""",
    """
INSERT INTO metrics (job_id, attempt, step, values, created_at)
SELECT jobs.id, 1, taken * 100, :metrics, jobs.created_at
FROM jobs, generate_series(1, :metric_rows) AS taken WHERE jobs.status = 'failed'
""",
    """
INSERT INTO webhooks (id, owner, url, events, secret, created_at)
SELECT 'whk_' || lpad(n::text, 26, '0'), 'owner-' || n * 10, 'https://example.com/hook', '["job.started", "job.succeeded"]', '',
    now()
FROM generate_series(0, :owners / 10 - 1) AS n
""",
]


@dataclass(frozen=True)
class Stock:
    """How many rows."""

    jobs: int
    """Of these all but ``queued`` have ended."""
    queued: int


def spec() -> dict[str, Any]:
    """The resolved spec of every job here, 1.3 KB."""
    return PruningSpec.model_validate(_SPEC).model_dump(mode="json")


def add_rows(database: Database, stock: Stock) -> None:
    """Fill the tables; one owner in ten has a webhook for all of its jobs."""
    values = {
        "jobs": stock.jobs,
        "ended": stock.jobs - stock.queued,
        "owners": OWNERS,
        "spec": json.dumps(spec()),
        "metrics": json.dumps(_METRIC_VALUES),
        "error": json.dumps(_ERROR),
        "events": _EVENTS,
        "metric_rows": _METRICS,
    }
    for statement in (_JOBS, *_HISTORY):
        names = text(statement).compile().params
        with database.write() as session:
            session.execute(text(statement), {name: values[name] for name in names})
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))  # as the server itself does within minutes
