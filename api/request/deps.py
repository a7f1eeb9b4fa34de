"""Dependencies that all routes share: the services of the process, and the ids and names in paths.

``api.app`` builds the services once and keeps them on the application.
"""

from dataclasses import dataclass, field
from threading import BoundedSemaphore
from typing import Annotated

from celery import Celery
from fastapi import Depends, Path, Request
from prometheus_client import CollectorRegistry

from api.predictions.service import PredictionService
from api.request.query_batcher import QueryBatcher
from api.request.token_buckets import SharedTokenBuckets, TokenBuckets
from api.schemas.job_representation import JobRepresentation
from service.access.api_keys import ValidKey
from service.concurrency import ConcurrencyLimiter
from service.db.engine import Database
from service.errors import InvalidKeyError
from service.operations.statistics import StatisticsReader
from service.settings import Settings

MAX_RECEIVED, MAX_RECEIVED_PER_OWNER = 8, 2
"""Data sets that one process receives at a time; each may take as much temporary disk as the largest data set."""
MAX_PARSED = 2
"""Data sets that one process parses at a time, once they have arrived; each may take the memory of a child process."""


@dataclass(frozen=True)
class Services:
    """Connections, loaders and limits of one process."""

    settings: Settings
    database: Database
    job_loader: QueryBatcher[str, JobRepresentation | None]
    """Jobs by id."""
    key_loader: QueryBatcher[str, ValidKey | InvalidKeyError]
    """API keys by their text."""
    celery: Celery
    token_buckets: TokenBuckets | SharedTokenBuckets
    predictions: PredictionService
    stream_slots: ConcurrencyLimiter
    wait_slots: ConcurrencyLimiter
    figure_slots: ConcurrencyLimiter
    """Figures that are drawn, one at a time, or wait for it; each keeps a thread that all requests share."""
    registry: CollectorRegistry
    """Metrics that this process counts by itself."""
    statistics: StatisticsReader
    """Metrics of the whole service."""
    keys_being_recorded: set[str] = field(default_factory=set)
    """Ids of API keys whose use is being recorded: of many concurrent requests, one does it."""
    upload_slots: ConcurrencyLimiter = field(default_factory=lambda: ConcurrencyLimiter(MAX_RECEIVED, MAX_RECEIVED_PER_OWNER))
    """Held while a data set is received, which takes as long as its sender needs."""
    parse_slots: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(MAX_PARSED))
    """Held while it is parsed."""


async def _services(request: Request) -> Services:  # async: FastAPI would run a plain function in a thread
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(_services)]
# an id that does not match its pattern cannot exist: api.errors.handlers answers 404
JobId = Annotated[
    str, Path(pattern=r"^job_[0-9a-z]{1,36}$", description="Id of the job", examples=["job_01jd3xk5m8v6q2zr9w4t7y1n0b"])
]
SweepId = Annotated[
    str, Path(pattern=r"^swp_[0-9a-z]{1,36}$", description="Id of the sweep", examples=["swp_01jd3xk5m8v6q2zr9w4t7y1n0b"])
]
WebhookId = Annotated[
    str, Path(pattern=r"^whk_[0-9a-z]{1,36}$", description="Id of the webhook", examples=["whk_01jd3xk5m8v6q2zr9w4t7y1n0b"])
]
DatasetId = Annotated[
    str, Path(pattern=r"^ds_[0-9a-f]{32}$", description="Id of the data set", examples=["ds_5f0c1d2e3a4b5c6d7e8f9a0b1c2d3e4f"])
]
ModelId = Annotated[
    str,
    Path(pattern=r"^mdl_[0-9a-f]{32}$", description="Id of the uploaded model", examples=["mdl_5f0c1d2e3a4b5c6d7e8f9a0b1c2d3e4f"]),
]
MaskId = Annotated[
    str,
    Path(pattern=r"^msk_[0-9a-f]{32}$", description="Id of the uploaded mask", examples=["msk_5f0c1d2e3a4b5c6d7e8f9a0b1c2d3e4f"]),
]
ArtifactName = Annotated[
    str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", description="Name of the file", examples=["mask.safetensors"])
]
