"""Scale benchmark, the number of workers that one database serves: simulated workers, submitters and status readers on PostgreSQL.

    python -m benchmarks.scale [--workers 125 250 500 1000] [--jobs 100000] [--queued 10000] [--seconds 20] [--out FILE]

Starts a PostgreSQL of its own unless ``--database-url`` names an empty database. Progress goes to standard error; the last line of
standard output is one JSON object. Exit code 1 when a job was lost or run twice.
"""

import argparse
import json
import os
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import text

from benchmarks.scale.check import check
from benchmarks.scale.load import measure
from benchmarks.scale.process import Plan
from benchmarks.scale.server import private_server
from benchmarks.scale.simulated_worker import Record
from benchmarks.scale.stock import Stock, add_rows
from service.db import migrate
from service.db.engine import Database

_READ_IDS = 2000
"""Jobs whose state is asked for: the newest."""


def main() -> int:
    """Measure, print, keep."""
    arguments = _arguments()
    server = nullcontext(arguments.database_url) if arguments.database_url else private_server(durable=arguments.durable)
    with server as url:
        found = _measure_all(url, arguments)
    if arguments.out:
        about = {
            "command": " ".join(["python -m benchmarks.scale", *_shown(sys.argv[1:])]),
            "date": datetime.now(UTC).date().isoformat(),
            "machine": arguments.machine or f"{os.cpu_count()} cores",
            "load": round(os.getloadavg()[0], 1),
        }
        arguments.out.write_text(json.dumps({**about, "results": found}, indent=1) + "\n")
    print(json.dumps(found))
    return int(any(found["check"][name] for name in ("lost", "duplicated", "left_running", "gaps")))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale")
    parser.add_argument("--database-url", help="an empty PostgreSQL database on this machine; default a server of its own")
    parser.add_argument("--durable", action="store_true", help="commits of the own server wait for the disk")
    parser.add_argument("--jobs", type=int, default=100_000, help="jobs in the table before the load")
    parser.add_argument("--queued", type=int, default=10_000, help="those of them that wait")
    parser.add_argument("--workers", type=int, nargs="+", default=[125, 250, 500, 1000], help="numbers to measure, in turn")
    parser.add_argument("--claimers", type=int, default=32, help="connections that first claim as fast as they can; 0: none")
    parser.add_argument("--claim-seconds", type=float, default=5, help="for how long")
    parser.add_argument("--submitters", type=int, default=200)
    parser.add_argument("--readers", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=20, help="length of one measurement")
    parser.add_argument("--warm-up", type=float, default=8, help="seconds before it")
    parser.add_argument("--processes", type=int, default=2, help="processes that the workers are dealt out to")
    parser.add_argument("--threads", type=int, default=16, help="threads of each, which is connections in use")
    parser.add_argument("--job-seconds", type=float, default=60)
    parser.add_argument("--step-seconds", type=float, default=2.4, help="pause between reports of a job: 1,500 in an hour")
    parser.add_argument("--submit-seconds", type=float, default=10, help="pause between submissions of one submitter")
    parser.add_argument("--read-seconds", type=float, default=2, help="pause between questions of one reader")
    parser.add_argument("--out", type=Path, help="keep the result, with date and command, in this file as well")
    parser.add_argument("--machine", help="kind of machine, in general words, for --out")
    return parser.parse_args()


def _shown(words: list[str]) -> list[str]:
    """A command's arguments without names of files and places."""
    hidden = {"--out", "--database-url", "--machine"}
    return [word for before, word in zip(["", *words], words, strict=False) if word not in hidden and before not in hidden]


def _measure_all(url: str, arguments: argparse.Namespace) -> dict[str, Any]:
    if not url.startswith("postgresql"):
        raise SystemExit("SQLite has one writer and one host: this benchmark needs PostgreSQL (or leave out --database-url)")
    migrate.upgrade(url)
    database = Database(url)
    began = time.monotonic()
    add_rows(database, Stock(arguments.jobs, arguments.queued))
    _note(f"{arguments.jobs} jobs in {time.monotonic() - began:.0f} s")
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if connection.execute(text("SHOW shared_preload_libraries")).scalar_one():
            connection.execute(text("CREATE EXTENSION IF NOT EXISTS pg_stat_statements"))
        since = connection.execute(text("SELECT now()")).scalar_one()
        newest = connection.execute(text("SELECT id FROM jobs ORDER BY id DESC LIMIT :limit"), {"limit": _READ_IDS})
        read_ids = tuple(newest.scalars())
    plan = Plan(
        database_url=url,
        seed=0,
        threads=arguments.threads,
        workers=0,
        claimers=0,
        submitters=arguments.submitters,
        readers=arguments.readers,
        read_ids=read_ids,
        warm_up_seconds=arguments.warm_up,
        seconds=arguments.seconds,
        job_seconds=arguments.job_seconds,
        step_seconds=arguments.step_seconds,
        submit_seconds=arguments.submit_seconds,
        read_seconds=arguments.read_seconds,
    )
    storm = replace(plan, claimers=arguments.claimers, submitters=0, readers=0, seconds=arguments.claim_seconds)
    storm = replace(storm, warm_up_seconds=min(1.0, arguments.warm_up))
    plans = [storm] * (arguments.claimers > 0) + [replace(plan, workers=workers) for workers in arguments.workers]
    records: list[Record] = []
    measured = []
    for number, one in enumerate(plans):
        found, did = measure(database, replace(one, seed=1000 * (number + 1)), arguments.processes)
        _note(json.dumps(found, indent=1))
        measured.append(found)
        records += did
    storms = measured[: len(plans) - len(arguments.workers)]
    checked = check(database, records, since)
    database.dispose()
    return {"jobs": arguments.jobs, "queued": arguments.queued, "claims": storms, "ramp": measured[len(storms) :], "check": checked}


def _note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
