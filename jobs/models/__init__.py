"""The tables, one file per subject. A new one is named here, so that migrations and tests see it."""

from jobs.models.artifact import Artifact, Chunk
from jobs.models.base import NAMING, Base
from jobs.models.history import Event, Metric
from jobs.models.job import Failure, Job
from jobs.models.worker import Worker

__all__ = ["NAMING", "Artifact", "Base", "Chunk", "Event", "Failure", "Job", "Metric", "Worker"]
