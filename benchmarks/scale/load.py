"""One measurement under load: processes of simulated workers and one of clients, and the server's statistics.

Called by ``benchmarks.scale``, once for each number of workers.
"""

import multiprocessing
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks.scale.process import Outcome, Plan, run
from benchmarks.scale.schedule import Timings
from benchmarks.scale.simulated_worker import Record
from benchmarks.scale.statements import ServerStatistics
from service.db.engine import Database
from service.settings import Settings

_START_SECONDS = 120.0
"""Longest that the processes may take to be ready."""


def measure(database: Database, plan: Plan, processes: int) -> tuple[dict[str, Any], list[Record]]:
    """Run ``plan`` with its workers dealt out to ``processes``, and one more process for its clients.

    What was measured, and what the actors say that they did. Raises SystemExit when a process fails.
    """
    workers, claimers = _shares(plan.workers, processes), _shares(plan.claimers, processes)
    idle = replace(plan, submitters=0, readers=0)
    plans = [
        replace(idle, seed=plan.seed + number, workers=workers[number], claimers=claimers[number]) for number in range(processes)
    ]
    plans.append(replace(plan, seed=plan.seed + processes, workers=0, claimers=0))
    outcomes, statistics = _run_together(database, plans)
    timings: dict[str, Timings] = {}
    for outcome in outcomes:
        for kind, found in outcome.timings.items():
            timings.setdefault(kind, Timings()).extend(found)
    failures = [failure for outcome in outcomes for failure in outcome.failures]
    result = {
        "workers": plan.workers,
        "claimers": plan.claimers,
        "seconds": plan.seconds,
        "actions": {kind: found.summary(plan.seconds) for kind, found in sorted(timings.items())},
        "overdue_actions": sum(outcome.overdue for outcome in outcomes),
        "failures": len(failures),
        "failure_examples": sorted(set(failures))[:3],
        "generator_cores": round(sum(outcome.cpu_seconds for outcome in outcomes) / plan.seconds, 2),
        **statistics,
    }
    if plan.workers:
        due = _due_per_second(plan)
        done = sum(outcome.done[kind] for outcome in outcomes for kind in due) / plan.seconds
        share = min(1.0, done / sum(due.values()))
        workers_per_core = round(plan.workers * share / statistics["database_cores"]) if statistics["database_cores"] else None
        result |= {"done_share": round(share, 3), "workers_per_database_core": workers_per_core}
    return result, [outcome.record for outcome in outcomes]


def _due_per_second(plan: Plan) -> dict[str, float]:
    """The periodic actions of all workers together."""
    settings = Settings(database_url=plan.database_url)
    return {
        "heartbeat": plan.workers / settings.heartbeat_seconds,
        "maintenance": plan.workers / settings.rescue_seconds,
        "outbox": plan.workers / settings.webhook_poll_seconds,
        "step": plan.workers / plan.step_seconds,
    }


def _shares(count: int, parts: int) -> list[int]:
    return [count // parts + (number < count % parts) for number in range(parts)]


def _run_together(database: Database, plans: Sequence[Plan]) -> tuple[list[Outcome], dict[str, Any]]:
    """Start all processes at one moment, and watch the server after the warm-up."""
    database.dispose()  # a connection that two processes share would be closed by one of them
    fork = multiprocessing.get_context("fork")  # nothing is imported again
    barrier = fork.Barrier(len(plans) + 1)
    started = []
    try:
        for plan in plans:
            receiver, sender = fork.Pipe(duplex=False)
            process = fork.Process(target=run, args=(plan, barrier, sender), daemon=True)
            process.start()
            sender.close()
            started.append((process, receiver))
        statistics = ServerStatistics(database)
        barrier.wait(_START_SECONDS)
        statistics.start_after(plans[0].warm_up_seconds)
        barrier.wait(_START_SECONDS + plans[0].warm_up_seconds + plans[0].seconds)
        found = statistics.stop()
        barrier.wait(_START_SECONDS)
        outcomes = [receiver.recv() for _, receiver in started]
    except (EOFError, multiprocessing.context.TimeoutError) as error:
        raise SystemExit(f"a process of the load failed: {error!r}") from error
    finally:
        for process, _ in started:
            process.join(10)
            process.terminate()
    return outcomes, found
