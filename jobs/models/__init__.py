"""The tables, one file per subject. A new one is named here, so that migrations and tests see it."""

from jobs.models.access import LOCAL, OWNER_LENGTH, ApiKey, Secret
from jobs.models.artifact import Artifact, Chunk, StoredObject
from jobs.models.base import NAMING, Base
from jobs.models.dataset import Dataset, DatasetChunk
from jobs.models.history import Event, Metric
from jobs.models.idempotency import KEY_LENGTH, Answer
from jobs.models.job import Failure, Job
from jobs.models.sweep import Sweep
from jobs.models.webhook import Delivery, Webhook
from jobs.models.worker import Worker

__all__ = [
    "KEY_LENGTH",
    "LOCAL",
    "NAMING",
    "OWNER_LENGTH",
    "Answer",
    "ApiKey",
    "Artifact",
    "Base",
    "Chunk",
    "Dataset",
    "DatasetChunk",
    "Delivery",
    "Event",
    "Failure",
    "Job",
    "Metric",
    "Secret",
    "StoredObject",
    "Sweep",
    "Webhook",
    "Worker",
]
