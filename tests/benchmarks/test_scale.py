"""The benchmark of the database at scale, with few workers for a moment: it runs, and no job is lost or run twice."""

import json
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from benchmarks.scale import __main__ as program
from benchmarks.scale import figure
from benchmarks.scale.check import check
from benchmarks.scale.simulated_worker import Record
from benchmarks.scale.statements import shape
from service.db.engine import Database
from service.jobs import claims, commands

_TINY = """--jobs 60 --queued 40 --claimers 2 --claim-seconds 0.3 --workers 4 --submitters 2 --readers 2 --threads 4
    --processes 1 --warm-up 0 --job-seconds 0.05 --step-seconds 0.05 --submit-seconds 0.5 --read-seconds 0.5"""


@pytest.mark.slow
def test_it_counts_and_loses_nothing(empty_postgres: str) -> None:
    for seconds in ("1", "5", "30"):  # a machine with much else to do ends no job in the first seconds
        command = [sys.executable, "-m", "benchmarks.scale", "--database-url", empty_postgres, "--seconds", seconds, *_TINY.split()]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        if found["check"]["succeeded"]:
            break
        with psycopg.connect(empty_postgres) as connection:
            connection.execute("TRUNCATE jobs, webhooks, workers CASCADE")
    checked = found["check"]
    assert (checked["lost"], checked["duplicated"], checked["left_running"], checked["gaps"]) == (0, 0, 0, 0)
    assert min(checked["claimed"], checked["succeeded"], checked["submitted"]) > 0
    (load,) = found["ramp"]
    assert load["failures"] == 0, load["failure_examples"]
    assert {"claim", "begin", "maintenance", "outbox", "submit", "status"} <= set(load["actions"])
    assert load["done_share"] > 0
    assert found["claims"][0]["actions"]["claim"]["per_second"] > 0


def test_the_figure_has_a_line_for_each_series(tmp_path: Path) -> None:
    loads = [{"workers": count, "done_share": 0.5, "workers_per_database_core": count / 2} for count in (10, 20, 20)]
    figure.draw(
        {"before": loads, "after": [*loads, {"workers": 40, "done_share": 0.1, "workers_per_database_core": None}]},
        tmp_path / "a.svg",
    )
    drawn = (tmp_path / "a.svg").read_text()
    assert drawn.startswith("<?xml")
    assert len(drawn) > 5000


def test_sqlite_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["scale", "--database-url", "sqlite:///:memory:"])
    with pytest.raises(SystemExit, match="PostgreSQL"):
        program.main()


def test_lost_and_duplicated_jobs_are_found(empty_postgres: str) -> None:
    database = Database(empty_postgres)
    with database.write() as session:
        job = commands.create(session, spec={"model": "m", "task": "t", "method": "magnitude"})
    with database.write() as session:
        assert claims.claim(session, worker_id="w", lease_seconds=60) is not None
    twice = Record(claimed=[(job.id, 1), (job.id, 1)], submitted=["job_gone"])
    assert check(database, [twice], job.created_at) == {
        "claimed": 2,
        "succeeded": 0,
        "submitted": 1,
        "leases_lost": 0,
        "lost": 1,
        "duplicated": 1,
        "left_running": 1,
        "gaps": 0,
    }
    database.dispose()


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("UPDATE jobs SET updated_at=$1, step=$2 WHERE jobs.id = $3 RETURNING id", "UPDATE jobs SET updated_at, step"),
        ("UPDATE jobs SET attempt=$1 WHERE id = (SELECT id FOR UPDATE SKIP LOCKED)", "UPDATE jobs SET attempt (claim)"),
        ("INSERT INTO events (a)\n VALUES ($1)", "INSERT INTO events"),
        ("SELECT jobs.id FROM jobs WHERE jobs.id = $1 FOR UPDATE", "SELECT jobs.id FROM jobs WHERE id FOR UPDATE"),
    ],
)
def test_statements_have_short_names(query: str, name: str) -> None:
    assert shape(query) == name
