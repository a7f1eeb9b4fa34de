"""Request and response bodies of predictions with the mask of a job that has succeeded."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

_TEXT: dict[str, Any] = {"type": "string"}
_PAIR: dict[str, Any] = {"type": "array", "items": _TEXT, "minItems": 2, "maxItems": 2}
Given = Annotated[Any, WithJsonSchema({"anyOf": [_TEXT, _PAIR]})]
"""Checked once the task is known, which says whether texts or pairs are needed."""


class PredictionRequest(BaseModel):
    """What to predict on."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"texts": ["a film to remember"]}]})

    texts: list[Given] = Field(
        min_length=1,
        description="Texts, or for tasks on two columns pairs: `[premise, hypothesis]`, `[question, context]`, …",
    )


class Prediction(BaseModel):
    """What the masked model says of one text or pair."""

    value: int | float | str | list[int] = Field(
        description="Class id; for a regression the number, for a question the answer, for a multilabel task the ids of the labels"
    )
    label: str | None = Field(description="Name of the class; null where there are no classes")
    probabilities: dict[str, float] | None = Field(
        description="Of each class by name, for a multilabel task of each label by itself; not calibrated"
    )
    labels: list[str] | None = Field(
        None,
        description="Names of a multilabel task's labels whose probability is at least the mask's threshold; else null",
    )


class PredictionList(BaseModel):
    """Predictions in the order of the texts."""

    job_id: str
    task: str
    data: list[Prediction]
