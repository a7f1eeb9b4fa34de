"""Base classes of request and response bodies: strict numbers and booleans for requests, the page of every list.

Pydantic would take "0.9" for a number and true for 1; the OpenAPI document allows neither, and a ``seed`` of true is a mistake.
"""

from typing import Any, Generic, TypeVar, get_args

from pydantic import BaseModel, Field, ValidationInfo, field_validator
from pydantic_core import PydanticKnownError

T = TypeVar("T")


class StrictModel(BaseModel):
    """Request body with strict types: numbers and truth values must not be strings."""

    @field_validator("*", mode="before")
    @classmethod
    def _as_declared(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[info.field_name or ""].annotation
        kinds = set(get_args(annotation)) or {annotation}
        if kinds & {int, float} and isinstance(value, str | bool):
            raise PydanticKnownError("int_type" if int in kinds else "float_type")
        if bool in kinds and not isinstance(value, bool):
            raise PydanticKnownError("bool_type")
        return value


class Page(BaseModel, Generic[T]):
    """Page of a list."""

    data: list[T]
    has_more: bool
    next_cursor: str | None = Field(description="Pass as `after` to get the next page; null on the last one")
