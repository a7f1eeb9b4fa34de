"""Response bodies of uploaded masks, built from rows while their session is open."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field

from api.schemas.base import Page
from service.db import models


class UploadedMask(BaseModel):
    """An uploaded mask. It never changes."""

    id: str = Field(examples=["msk_5f0c1d2e3a4b5c6d7e8f9a0b1c2d3e4f"], description="What a job gives as `init_from`")
    name: str | None = Field(description="What you call it")
    base_model: str = Field(description="Model that it was trained for, by the name that it had there")
    base_digest: str = Field(description="SHA-256 of the base weights; a job on other weights is refused")
    task: str = Field(description="Task that it was trained for")
    head: str
    method: str = Field(description="Method that made it; it need not be installed here")
    pattern: str
    weights: int = Field(description="Masked weights")
    kept: int = Field(description="Masked weights that stay")
    size: int = Field(description="Bytes of the file")
    sha256: str = Field(description="Of the file, hexadecimal")
    created_at: datetime

    @classmethod
    def from_row(cls, row: models.UploadedMask) -> Self:
        """What its metadata say, and how it is stored."""
        return cls(id=row.id, name=row.name, size=row.size, sha256=row.sha256, created_at=row.created_at, **row.about)


class UploadedMaskList(Page[UploadedMask]):
    """A page of uploaded masks, newest first."""
