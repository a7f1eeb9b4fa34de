"""Numbers and truth values of a body must be that in JSON. Base of the requests in ``api.schemas.jobs`` and ``api.schemas.sweeps``.

Pydantic would take "0.9" for a number and true for 1; the OpenAPI document says neither, and a ``seed`` of true is a slip.
"""

from typing import Any, get_args

from pydantic import BaseModel, ValidationInfo, field_validator
from pydantic_core import PydanticKnownError


class StrictModel(BaseModel):
    """Refuses numbers and truth values that are written as something else."""

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
