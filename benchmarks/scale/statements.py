"""Statistics of a PostgreSQL server over a measurement: statements by their share, waits, row changes, processor time.

Called by ``benchmarks.scale.load``. Statements are named by their shape, ``UPDATE jobs SET lease_expires_at, updated_at``; where
``pg_stat_statements`` is not loaded, that part is missing.
"""

import re
import threading
import time
from collections import Counter
from typing import Any

from sqlalchemy import Connection, text

from benchmarks.scale.server import server_cpu_seconds
from service.db.engine import Database

_TOP = 12
_SAMPLE_SECONDS = 0.1
_WAITS = """
SELECT coalesce(wait_event_type || ':' || wait_event, 'on a processor'), count(*) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND state = 'active' AND pid <> pg_backend_pid() AND datname = current_database() GROUP BY 1
"""
_STATEMENTS = """
SELECT query, calls, total_exec_time + total_plan_time AS ms, total_plan_time AS plan_ms, wal_bytes, rows,
    shared_blks_hit + shared_blks_read AS pages
FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_ROWS = "SELECT n_tup_upd, n_tup_hot_upd, n_dead_tup, autovacuum_count FROM pg_stat_user_tables WHERE relname = 'jobs'"
_WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"


class ServerStatistics:
    """Between ``start_after`` and ``stop``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waits: Counter[str] = Counter()
        self._samples = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        with self._connect() as connection:
            loaded = "SELECT count(*) FROM pg_extension WHERE extname = 'pg_stat_statements'"
            self._counted = bool(connection.execute(text(loaded)).scalar_one())

    def start_after(self, seconds: float) -> None:
        """Wait, then forget what was before."""
        time.sleep(seconds)
        with self._connect() as connection:
            if self._counted:
                connection.execute(text("SELECT pg_stat_statements_reset()"))
            self._before = self._totals(connection)
        self._thread.start()

    def stop(self) -> dict[str, Any]:
        """What happened since."""
        with self._connect() as connection:
            after = self._totals(connection)
            self._stopping.set()
            self._thread.join()
            statements = self._top(connection) if self._counted else {}
        changed = {name: after[name] - self._before[name] for name in after}
        seconds = changed["seconds"]
        updates = max(1, changed["updates"])
        return {
            "database_cores": round(changed["cpu"] / seconds, 3),
            "wal_kib_per_second": round(changed["wal"] / 1024 / seconds, 1),
            "job_updates_per_second": round(changed["updates"] / seconds, 1),
            "job_updates_hot_share": round(changed["hot"] / updates, 3),
            "active_backends": {name: round(n / self._samples, 2) for name, n in self._waits.most_common(8)}
            if self._samples
            else {},
            **statements,
        }

    def _connect(self) -> Connection:
        return self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def _totals(self, connection: Connection) -> dict[str, float]:
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
        backend = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        updates, hot, _, _ = connection.execute(text(_ROWS)).one()
        return {
            "seconds": time.monotonic(),
            "cpu": server_cpu_seconds(backend),
            "wal": float(connection.execute(text(_WAL)).scalar_one()),
            "updates": updates,
            "hot": hot,
        }

    def _sample(self) -> None:
        with self._connect() as connection:
            while not self._stopping.wait(_SAMPLE_SECONDS):
                self._waits.update(dict(connection.execute(text(_WAITS)).tuples().all()))
                self._samples += 1

    def _top(self, connection: Connection) -> dict[str, Any]:
        found: dict[str, Counter[str]] = {}
        for row in connection.execute(text(_STATEMENTS)):
            counted = {"calls": row.calls, "ms": row.ms, "plan_ms": row.plan_ms, "wal": float(row.wal_bytes), "pages": row.pages}
            found.setdefault(shape(row.query), Counter()).update(counted)
        ignored = [name for name in found if "pg_stat" in name or "pg_current" in name]
        for name in ignored:
            del found[name]
        total = sum(one["ms"] for one in found.values()) or 1.0
        ordered = sorted(found.items(), key=lambda item: -item[1]["ms"])[:_TOP]
        return {
            "statement_seconds": round(total / 1e3, 2),
            "statements": {
                name: {
                    "share": round(one["ms"] / total, 3),
                    "calls": one["calls"],
                    "mean_ms": round(one["ms"] / one["calls"], 3),
                    "plan_share": round(one["plan_ms"] / one["ms"], 2) if one["ms"] else 0.0,
                    "wal_bytes": round(one["wal"] / one["calls"]),
                    "pages": round(one["pages"] / one["calls"], 1),
                }
                for name, one in ordered
            },
        }


def shape(query: str) -> str:
    """Verb, table and the columns that a statement sets or asks for by name, in some words."""
    words = " ".join(query.split())
    if match := re.match(r"UPDATE (\w+) SET (.*?) (?:WHERE|FROM) ", words):
        columns = re.findall(r"(\w+)=", match[2])
        claims = " (claim)" if "SKIP LOCKED" in words else ""
        return f"UPDATE {match[1]} SET {', '.join(columns)}{claims}"
    if match := re.match(r"(INSERT INTO|DELETE FROM) (\w+)", words):
        return match[0]
    if match := re.match(r"SELECT (.*?) FROM (\w+)(.*)", words):
        asked = match[1] if len(match[1]) < 60 else "…"
        locks = " FOR UPDATE" if "FOR " in match[3] else ""
        where = sorted(set(re.findall(r"(\w+) (?:=|<=|>=|<|>|IN|IS) ", match[3])))
        return f"SELECT {asked} FROM {match[2]} WHERE {', '.join(where)}{locks}"[:160]
    return words[:80]
