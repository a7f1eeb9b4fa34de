"""Random fault schedules: one on each stack; ``python -m tests.faults`` runs more."""

import json
import random
import subprocess
import sys

from tests.faults.conftest import MakeCluster
from tests.faults.fault_schedule import FaultSchedule
from tests.processes import ROOT


def test_a_random_schedule_violates_nothing(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(worker_slots=2, max_attempts=50)
    schedule = FaultSchedule(cluster, None, random.Random(3))
    schedule.run()
    assert cluster.finish().all == []
    assert schedule.faults


def test_the_program_ends_with_one_json_object() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", "--runs", "0", "--stack", "embedded"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert {"runs", "faults", "accepted", "lost", "duplicated", "stale_writes", "orphans"} <= summary.keys()
