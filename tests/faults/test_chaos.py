"""One random fault schedule on each stack; ``python -m tests.faults`` does as many as one likes."""

import json
import random
import subprocess
import sys

from tests.faults.chaos import FaultSchedule
from tests.faults.conftest import MakeCluster
from tests.processes import ROOT


def test_a_schedule(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(worker_slots=2, max_attempts=50)
    chaos = FaultSchedule(cluster, None, random.Random(3))
    chaos.run()
    assert cluster.finish().all == []
    assert chaos.faults


def test_the_program_ends_with_one_json_object() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", "--runs", "0", "--stack", "embedded"],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert {"runs", "faults", "accepted", "lost", "duplicated", "stale_writes", "orphans"} <= told.keys()
