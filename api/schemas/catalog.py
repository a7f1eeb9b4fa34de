"""Response bodies of the catalog: the models, tasks and the pruning methods that a job can name."""

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, Field

from api.schemas.base import Page
from service.db import models


class Task(BaseModel):
    """A task known by name, with its defaults."""

    name: str
    kind: str
    dataset: str
    config: str | None
    text: list[str] = Field(description="Columns that are read")
    label: str
    label_words: list[str] = Field(description="Word of each class, in class-id order")
    labels: list[str] | None = Field(description="Name of each class; null where there are none")
    metrics: list[str] = Field(description="The first one names the result")
    epochs: float
    batch_size: int
    max_length: int
    local: bool = Field(description="Whether the data is in this service's data sets directory")


class TaskList(Page[Task]):
    """The tasks known by name."""

    custom_task_schema: dict[str, Any] = Field(description="JSON Schema of a task on your own data")


class Model(BaseModel):
    """A model in the service's models directory, or an uploaded one."""

    name: str = Field(description="Value for a job's `model`: the name of a folder, or the id of an uploaded model")
    title: str | None = Field(None, description="Name that the owner gave to an uploaded model")
    model_type: str | None = Field(description="Model type of its configuration")
    masked_weights: int | None = Field(description="Weights that a mask applies to")
    problem: str | None = Field(description="Reason why a job on it would be refused, as far as its files show")
    size: int | None = Field(None, description="Bytes of an uploaded model")
    created_at: datetime | None = Field(None, description="When it was uploaded")

    @classmethod
    def from_row(cls, row: models.UploadedModel) -> Self:
        """An uploaded model."""
        return cls(
            name=row.id,
            title=row.name,
            model_type=row.model_type,
            masked_weights=row.masked_weights,
            problem=None,
            size=row.size,
            created_at=row.created_at,
        )


class ModelList(Page[Model]):
    """Available models, and which others a job can name."""

    hub: bool = Field(description="Whether models of the hub can be named, too")
    model_types: list[str] = Field(description="Architectures that can be pruned")


class Method(BaseModel):
    """A pruning method."""

    name: str
    summary: str
    trains: Literal["scores", "weights", "scores and weights", "nothing"] = Field(
        description="Weights that are trained are stored with the mask"
    )
    sparsity: Literal["asked", "emerges"] = Field(description="Whether the requested sparsity is reached exactly")
    two_four: bool = Field(description="Whether pattern 2:4 is possible")
    learning_rate: float = Field(description="Default learning rate of the scores")
    regularization: float = Field(description="Default λ")
    default: bool


class MethodList(Page[Method]):
    """The methods, and the schema of the spec that all of them share."""

    spec_schema: dict[str, Any] = Field(description="JSON Schema of the body of POST /v1/jobs")
