"""Liveness and readiness probes for orchestrators and load balancers."""

import contextlib
import logging
import os
from functools import partial
from typing import Literal

from celery import Celery
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from api.errors.exceptions import UnavailableError
from api.errors.problems import problem_responses
from api.request.deps import Services, ServicesDep
from api.responses.readiness import SharedAnswer
from service.broker import create_folders
from service.broker_connection import connection_fault
from service.db import migrate
from service.errors import SchemaOutdatedError
from service.jobs import heartbeats

log = logging.getLogger(__name__)
router = APIRouter(tags=["health"])


class Checks(BaseModel):
    """State of the services that a job needs."""

    database: Literal["ok"]
    broker: Literal["ok", "degraded"] = Field(description="degraded: jobs start some seconds later")
    workers: int = Field(description="Workers with a recent heartbeat")


class Readiness(BaseModel):
    """Readiness: a job would run."""

    status: Literal["ready"] = "ready"
    checks: Checks


class Liveness(BaseModel):
    """Liveness: the process answers."""

    status: Literal["alive"] = "alive"


@router.get("/livez", operation_id="livez", responses=problem_responses(), summary="Liveness probe")
async def livez() -> Liveness:  # async, without a thread: it answers while every thread waits for a database
    """Checks nothing else, so that an unreachable database does not cause restarts of the API."""
    return Liveness()


@router.get("/readyz", operation_id="readyz", responses=problem_responses(), summary="Readiness probe")
async def readyz(services: ServicesDep, request: Request) -> Readiness:
    """Ready needs a migrated database and a live worker. Without the broker jobs are found by polling, only later.

    The answer is up to a second old.
    """
    shared: SharedAnswer[Readiness] | None = getattr(request.app.state, "readiness", None)
    if shared is None:
        shared = request.app.state.readiness = SharedAnswer(partial(_check, services))
    return await shared.get()


def _check(services: Services) -> Readiness:
    if not migrate.is_current(services.database):
        raise SchemaOutdatedError
    with services.database.read() as session:
        live = len(heartbeats.live_workers(session, within_seconds=services.settings.worker_seen_seconds))
    if not live:
        raise UnavailableError("no_worker", "no worker has a recent heartbeat; jobs are accepted and wait for one")
    return Readiness(checks=Checks(database="ok", broker=_broker(services.celery), workers=live))


def _broker(celery: Celery) -> Literal["ok", "degraded"]:
    """Whether workers can be notified; takes two seconds at most."""
    folder = celery.conf.broker_transport_options.get("data_folder_out")
    if folder is not None:
        with contextlib.suppress(OSError):
            create_folders(celery)  # as for a notification
        return "ok" if os.access(folder, os.W_OK) else "degraded"
    if fault := connection_fault(celery):
        log.warning("broker unreachable: %s", fault)
        return "degraded"
    return "ok"
