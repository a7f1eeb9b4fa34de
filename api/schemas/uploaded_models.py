"""Response bodies of uploaded models, built from rows while their session is open."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field

from service.db import models


class ModelFile(BaseModel):
    """A file of an uploaded model."""

    name: str
    size: int = Field(description="Bytes")
    sha256: str = Field(description="Hexadecimal")


class UploadedModel(BaseModel):
    """An uploaded model. It never changes."""

    id: str = Field(examples=["mdl_5f0c1d2e3a4b5c6d7e8f9a0b1c2d3e4f"], description="Value for a job's `model`")
    name: str | None = Field(description="Name of your choice")
    model_type: str = Field(description="Model type of its configuration")
    masked_weights: int | None = Field(description="Weights that a mask applies to")
    size: int = Field(description="Bytes of all files together")
    sha256: str = Field(description="Hexadecimal digest of the names and digests of its files")
    files: list[ModelFile]
    created_at: datetime

    @classmethod
    def from_row(cls, row: models.UploadedModel, files: Sequence[models.ModelFile]) -> Self:
        """The model with its files, by name."""
        return cls(
            id=row.id,
            name=row.name,
            model_type=row.model_type,
            masked_weights=row.masked_weights,
            size=row.size,
            sha256=row.sha256,
            created_at=row.created_at,
            files=[ModelFile(name=file.name, size=file.size, sha256=file.sha256) for file in files],
        )
