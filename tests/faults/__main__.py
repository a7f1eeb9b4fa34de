"""Random fault schedules against a whole service: ``python -m tests.faults --runs N --seed S``.

Each run starts a service on one of the stacks that this machine has, submits jobs, breaks things in an order that the seed
decides, fixes them, waits for the end of every job and checks the invariants. The last line is one JSON object; the exit
code is 1 if anything was lost, doubled, stale or left behind.
"""

import argparse
import contextlib
import json
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

from service.db import migrate
from tests import services
from tests.faults.cluster import Cluster, Stack, empty_database
from tests.faults.fault_schedule import FaultSchedule
from tests.faults.prefork_server import PreforkServer

KINDS = ("lost", "duplicated", "stale", "disorder", "orphans")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Random fault schedules.")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stack", choices=["embedded", "production"], help="default: both in turn, where there is one")
    given = parser.parse_args()
    total: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
    with contextlib.ExitStack() as held, tempfile.TemporaryDirectory(prefix="espalier-faults-") as folder:
        prefork_server = held.enter_context(PreforkServer())
        servers = _servers(held) if given.stack != "embedded" else None
        for number in range(given.runs):
            seed = given.seed * 100_000 + number
            total += Counter(_run(seed, Path(folder) / str(number), prefork_server, servers, given.stack, number))
    summary = {"runs": given.runs, "seed": given.seed, **{name: total[name] for name in ("faults", "accepted", *KINDS)}}
    summary["stale_writes"] = summary.pop("stale")
    print(json.dumps(summary))
    return int(any(total[kind] for kind in KINDS))


def _servers(held: contextlib.ExitStack) -> tuple[str, services.RedisServer] | None:
    """PostgreSQL's URL and a Redis that may be killed; None where either is not to be had."""
    try:
        server = services.RedisServer()
        url = held.enter_context(services.postgres())
        held.enter_context(server)
    except services.UnavailableError as missing:
        print(f"only the embedded stack: {missing}", file=sys.stderr)
        return None
    migrate.upgrade(url)
    return url, server


def _run(
    seed: int,
    folder: Path,
    prefork_server: PreforkServer,
    servers: tuple[str, services.RedisServer] | None,
    wanted: str | None,
    number: int,
) -> dict[str, int]:
    folder.mkdir()
    if servers is None or (wanted is None and number % 2 == 0):
        stack, redis = Stack("embedded", f"sqlite:///{folder}/espalier.db"), None
        migrate.upgrade(stack.database_url)
    else:
        stack, redis = Stack("production", servers[0], servers[1].url), servers[1]
        empty_database(stack)
    cluster = Cluster(stack, folder, prefork_server, worker_slots=2, max_attempts=50)
    try:
        schedule = FaultSchedule(cluster, redis, random.Random(seed))
        schedule.run()
        found = cluster.finish(seconds=180)
    finally:
        cluster.close()
    for problem in found.all:
        print(f"run {number} (seed {seed}, {stack.name}): {problem}", file=sys.stderr)
    story = f"run {number} {stack.name}: {len(cluster.accepted)} jobs, {' '.join(schedule.faults)}"
    print(story, file=sys.stderr, flush=True)
    counted = {kind: len(getattr(found, kind)) for kind in KINDS}
    return {"faults": len(schedule.faults), "accepted": len(cluster.accepted), **counted}


if __name__ == "__main__":
    sys.exit(main())
