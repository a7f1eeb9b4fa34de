"""Cost of one change of a running job's row in PostgreSQL, with full pages of jobs and with pages that have free space.

    python -m benchmarks.scale.row_changes [--jobs 6000] [--running 500] [--out FILE]

Heartbeats and steps of running jobs in an order by chance, each committed, on a private server for each fill factor. Bytes of WAL
and the share of changes that write no index do not depend on what else the machine does. The last line is one JSON object.
"""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from benchmarks.scale.server import private_server, server_cpu_seconds
from benchmarks.scale.stock import Stock, add_rows
from service.db import migrate
from service.db.engine import Database

_FILL_FACTORS = (100, 70)
_CLAIMS = """
DO $$ DECLARE chosen text; BEGIN
    FOR chosen IN SELECT id FROM jobs WHERE status = 'queued' ORDER BY created_at LIMIT {running} LOOP
        UPDATE jobs SET status = 'running', attempt = 1, lease_expires_at = now() + interval '60 s', claimed_at = now(),
            started_at = now(), updated_at = now(), event_seq = event_seq + 1 WHERE id = chosen;
        COMMIT;
    END LOOP;
END $$
"""
_CHANGES = """
DO $$ DECLARE chosen text; BEGIN
    FOR round IN 1..6 LOOP
        FOR chosen IN SELECT id FROM jobs WHERE status = 'running' ORDER BY md5(id || round) LOOP
            UPDATE jobs SET lease_expires_at = now() + interval '60 s', updated_at = now() WHERE id = chosen;
            COMMIT;
            UPDATE jobs SET step = step + 1, record_bytes = record_bytes + 100, progress_at = now(), updated_at = now(),
                metrics = json_build_object('loss', random(), 'regularizer', random(), 'remaining', random()) WHERE id = chosen;
            COMMIT;
        END LOOP;
    END LOOP;
END $$
"""
_COUNTERS = """
SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') AS wal, n_tup_upd AS updates, n_tup_hot_upd AS hot, pg_backend_pid() AS pid
FROM pg_stat_user_tables WHERE relname = 'jobs'
"""


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale.row_changes")
    parser.add_argument("--jobs", type=int, default=6000, help="jobs in the table, a quarter of them queued")
    parser.add_argument("--running", type=int, default=500, help="jobs that run")
    parser.add_argument("--out", type=Path, help="keep the result, with date and command, in this file as well")
    arguments = parser.parse_args()
    found = {f"fillfactor_{factor}": _measure(factor, arguments.jobs, arguments.running) for factor in _FILL_FACTORS}
    if arguments.out:
        about = {"command": "python -m benchmarks.scale.row_changes", "date": datetime.now(UTC).date().isoformat()}
        arguments.out.write_text(json.dumps({**about, "results": found}, indent=1) + "\n")
    print(json.dumps(found))


def _measure(factor: int, jobs: int, running: int) -> dict[str, Any]:
    with private_server() as url:
        migrate.upgrade(url)
        database = Database(url)
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"ALTER TABLE jobs SET (fillfactor = {factor})"))
            add_rows(database, Stock(jobs, jobs // 4))
            found = {"claim": _run(connection, _CLAIMS.format(running=running)), "heartbeat_or_step": _run(connection, _CHANGES)}
            found["table_mb"] = round(connection.execute(text("SELECT pg_table_size('jobs')")).scalar_one() / 1e6, 1)
        database.dispose()
    return found


def _run(connection: Connection, block: str) -> dict[str, float]:
    """Of each change that ``block`` makes."""
    before, used = _counters(connection)
    connection.execute(text(block))
    after, used_after = _counters(connection)
    changes = after["updates"] - before["updates"]
    return {
        "changes": changes,
        "wal_bytes": round((after["wal"] - before["wal"]) / changes),
        "without_index_share": round((after["hot"] - before["hot"]) / changes, 3),
        "cpu_microseconds": round(1e6 * (used_after - used) / changes),
    }


def _counters(connection: Connection) -> tuple[dict[str, float], float]:
    connection.execute(text("SELECT pg_stat_force_next_flush()"))
    row = connection.execute(text(_COUNTERS)).one()
    return {"wal": float(row.wal), "updates": row.updates, "hot": row.hot}, server_cpu_seconds(row.pid)


if __name__ == "__main__":
    main()
