"""Models as the service lists them: folders by name, uploaded models with their files, and uploaded masks."""

from datetime import datetime

from pydantic import Field

from espalier.client.job import ENDED as ENDED
from espalier.client.job import Artifact as Artifact
from espalier.client.job import Job as Job
from espalier.client.job import JobResult as JobResult
from espalier.client.job import JobWarning as JobWarning
from espalier.client.job import MetricRow as MetricRow
from espalier.client.job import NamedValues as NamedValues
from espalier.client.job import Problem as Problem
from espalier.client.job import Progress as Progress
from espalier.client.resource import Resource


class ModelFile(Resource):
    """A file of an uploaded model."""

    name: str
    size: int
    sha256: str


class UploadedModel(Resource):
    """An uploaded model, which a job names by its ``id``."""

    id: str
    name: str | None = None
    model_type: str
    masked_weights: int | None = None
    size: int
    sha256: str
    files: list[ModelFile] = Field(default_factory=list)
    created_at: datetime | None = None


class UploadedMask(Resource):
    """An uploaded mask, from which a job starts by its ``id``."""

    id: str
    name: str | None = None
    base_model: str
    """Model that it was trained for, by the name that it had there."""
    base_digest: str
    task: str
    head: str
    method: str
    pattern: str
    weights: int
    kept: int
    size: int
    sha256: str
    created_at: datetime | None = None


class Model(Resource):
    """A model in the service's models directory, or an uploaded one; ``problem`` says why a job on it would be refused."""

    name: str
    """Name for a job's ``model``: the folder, or the id of an uploaded model."""
    title: str | None = None
    """Name that the owner has given to an uploaded model."""
    model_type: str | None = None
    masked_weights: int | None = None
    problem: str | None = None


class ModelList(Resource):
    """Available models; with ``hub`` any model there of one of ``model_types`` can be named, too."""

    data: list[Model]
    hub: bool = False
    model_types: list[str] = Field(default_factory=list)
