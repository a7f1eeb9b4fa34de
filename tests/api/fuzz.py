"""Property tests of the interface: requests that Schemathesis generates from the OpenAPI document, each response checked by it.

Called by ``test_schemathesis``, and by itself for runs of minutes or a night:

    python -m tests.api.fuzz --examples 1000 --seed 7

The application requires keys and uses SQLite; jobs in every state and one thing of each kind exist from the start.
"""

import argparse
import json
import logging
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import schemathesis
from fastapi.testclient import TestClient
from schemathesis.checks import CheckContext
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.specs.openapi.checks import ensure_resource_availability

from api.app import create_app
from service.access.api_keys import Scope
from service.db import migrate
from service.db.engine import Database
from service.settings import Settings
from tests.api.conftest import Jobs
from tests.api.protected_app import Keyring, ProtectedApp

PHASES = ("examples", "coverage", "fuzzing", "stateful")
_NOT_ALL_IS_IN_THE_SCHEMA = [
    "createJob",
    "createSweep",
    "createDataset",
    "createModel",
    "createMask",
    "createWebhook",
    "predict",
    "retryJob",
    "createExports",
    "createEvaluation",
    "listJobs",
    "listSweeps",
    "listExports",
    "listEvaluations",
]
"""Requests that fit the schema may be refused here: for rules between fields, files, addresses, used keys, cursors, states."""
_KNOWN = {"body.model": ["bert-base-uncased"], "body.task": ["sst2", "squad"], "body.url": ["https://example.com/espalier"]}
"""What a random text would never be."""
_BY_DESIGN = ["2xx", "3xx", "4xx", 501, 503, 507]


@dataclass
class Outcome:
    """What came of a run."""

    failures: dict[str, str] = field(default_factory=dict)
    """Operation and broken promise → why, and the request as a command."""
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    """How often each operation answered with each status."""
    checks: Counter[str] = field(default_factory=Counter)
    """How often each promise was checked."""


def run(folder: Path, phases: Iterable[str], *, examples: int, seed: int) -> Outcome:
    """All operations in ``phases`` of Schemathesis, with ``examples`` per operation where they are random."""
    settings = Settings(
        data_dir=folder,
        require_keys=True,
        requests_per_minute=None,
        max_queued_jobs_per_owner=None,
        webhook_max_per_owner=1_000_000,
        max_wait_seconds=0.01,
        predictions_enabled=False,
    )
    migrate.upgrade(settings.database_url)
    database = Database(settings.database_url)
    app = create_app(settings)
    outcome = Outcome()
    with TestClient(app) as client, patch("service.webhooks.name_lookup.socket.getaddrinfo", _everything_is_public):
        keyring = Keyring(database)
        named = _things(ProtectedApp(client, keyring, Jobs(database, folder)))
        header = keyring.header_of("a", Scope.ADMIN)
        config = SchemathesisConfig.from_dict(_config(phases, named, header, examples, seed))
        for event in from_schema(schemathesis.openapi.from_asgi("/openapi.json", app, config=config)).execute():
            _note(event, outcome)
    database.dispose()
    return outcome


@schemathesis.check
def created_resource_is_available(ctx: CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]) -> bool | None:
    """``ensure_resource_availability``, unless an ``Idempotency-Key`` replayed the creation.

    Such a response is that of an earlier request, whose resource may have been deleted since: also in an earlier sequence, which
    Schemathesis does not read.
    """
    parent = ctx.internals.find_parent(case_id=case.id)
    created = ctx.internals.find_response(case_id=parent.id) if parent else None
    if created and "idempotency-replayed" in created.headers:
        return None
    return ensure_resource_availability(ctx, response, case)


def _everything_is_public(_host: str, port: int, **_: Any) -> Any:
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", port))]


def _things(world: ProtectedApp) -> dict[str, list[str]]:
    """Path parameter → ids of what is there."""
    jobs = world.jobs
    made = [world.job(jobs.succeeded), world.job(jobs.running), world.job(jobs.queued)]
    jobs.artifact(made[1], b"<html></html>", name="report.html")
    jobs.metrics(made[1], 1, loss=0.5)
    named = {name: [world.id(name)] for name in ("sweep_id", "webhook_id", "dataset_id", "model_id", "mask_id")}
    return named | {"job_id": made, "name": ["mask.safetensors", "report.html"]}


def _config(phases: Iterable[str], named: dict[str, list[str]], header: dict[str, str], examples: int, seed: int) -> dict[str, Any]:
    words = {f"path.{name}": ids for name, ids in named.items()} | _KNOWN
    return {
        "seed": seed,
        "headers": header,
        "dictionaries": {place.replace(".", "-"): {"values": values} for place, values in words.items()},
        "parameters": {place: {"dictionary": place.replace(".", "-"), "probability": 0.7} for place in words},
        "generation": {"max-examples": examples, "database": "none"},
        "phases": {phase: {"enabled": phase in phases} for phase in PHASES},
        "checks": {
            "not_a_server_error": {"expected-statuses": _BY_DESIGN},
            "ensure_resource_availability": {"enabled": False},
            "created_resource_is_available": {"enabled": True},
        },
        "operations": [
            {"include-operation-id": _NOT_ALL_IS_IN_THE_SCHEMA, "checks": {"positive_data_acceptance": {"enabled": False}}}
        ],
    }


def _note(event: events.EngineEvent, outcome: Outcome) -> None:
    if isinstance(event, events.NonFatalError):
        outcome.failures[f"{event.label}: error"] = str(event.value)
    elif isinstance(event, events.FatalError):
        raise event.exception
    elif isinstance(event, events.ScenarioFinished):
        for case_id, checks in event.recorder.checks.items():
            operation = event.recorder.cases[case_id].value.operation.label
            if (answer := event.recorder.interactions[case_id].response) is not None:
                outcome.answers[operation, answer.status_code] += 1
            for check in checks:
                outcome.checks[check.name] += 1
                if check.failure_info is not None:
                    failure = check.failure_info.failure
                    description = f"{failure.message}\n{check.failure_info.code_sample}"
                    outcome.failures.setdefault(f"{operation}: {failure.title}", description)


def _lines(outcome: Outcome) -> Iterator[str]:
    for what, why in outcome.failures.items():
        yield f"{what}\n{why}\n"
    yield f"{outcome.answers.total()} answers, {outcome.checks.total()} checks, {len(outcome.failures)} failures"


def main() -> int:
    """Exit status 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.api.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=200, help="random requests per operation")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--phases", default=",".join(PHASES))
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        outcome = run(Path(folder), asked.phases.split(","), examples=asked.examples, seed=asked.seed)
    print("\n".join(_lines(outcome)))
    print(json.dumps(outcome.checks))
    return 1 if outcome.failures else 0


if __name__ == "__main__":
    sys.exit(main())
