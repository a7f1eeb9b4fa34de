"""Tables (SQLAlchemy models), one file per subject.

Imported everywhere in ``service``. A new table is exported here, so that migrations and tests see it. Imports ids, states and
``service.db.clock`` only.
"""

from service.db.models.access import LOCAL, OWNER_LENGTH, ApiKey, Secret
from service.db.models.artifact import Artifact, ArtifactChunk, StoredObject
from service.db.models.base import NAMING, Base
from service.db.models.dataset import Dataset, DatasetChunk
from service.db.models.history import Event, Metric
from service.db.models.idempotency import KEY_LENGTH, StoredResponse
from service.db.models.job import Failure, Job, RunWarning, kind_of
from service.db.models.sweep import Sweep
from service.db.models.uploaded_mask import MaskChunk, UploadedMask
from service.db.models.uploaded_model import ModelChunk, ModelFile, UploadedModel
from service.db.models.webhook import Delivery, Webhook
from service.db.models.worker import MaintenanceTurn, Worker

__all__ = [
    "KEY_LENGTH",
    "LOCAL",
    "NAMING",
    "OWNER_LENGTH",
    "ApiKey",
    "Artifact",
    "ArtifactChunk",
    "Base",
    "Dataset",
    "DatasetChunk",
    "Delivery",
    "Event",
    "Failure",
    "Job",
    "MaintenanceTurn",
    "MaskChunk",
    "Metric",
    "ModelChunk",
    "ModelFile",
    "RunWarning",
    "Secret",
    "StoredObject",
    "StoredResponse",
    "Sweep",
    "UploadedMask",
    "UploadedModel",
    "Webhook",
    "Worker",
    "kind_of",
]
