"""What the routes share: settings, database, doorbell. Built once by ``api.app`` and kept on the application."""

from dataclasses import dataclass, field
from threading import BoundedSemaphore
from typing import Annotated

from celery import Celery
from fastapi import Depends, Path, Request

from jobs.db import Database
from jobs.settings import Settings

MAX_STREAMS = 256
"""Event streams that one process keeps open at a time; each asks the database twice a second."""


@dataclass(frozen=True)
class Services:
    """One process's connections."""

    settings: Settings
    database: Database
    celery: Celery
    streams: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(MAX_STREAMS))


async def _services(request: Request) -> Services:  # async: a plain function would cost a change of thread
    services: Services = request.app.state.services
    return services


Served = Annotated[Services, Depends(_services)]
# a path that does not match names nothing: api.errors answers 404
JobId = Annotated[str, Path(pattern=r"^job_[0-9a-z]{1,36}$", description="Id of the job")]
ArtifactName = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", description="Name of the file")]
