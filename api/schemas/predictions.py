"""Request and response bodies of predictions with the mask of a job that has succeeded."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

_TEXT: dict[str, Any] = {"type": "string"}
_TEXTS: dict[str, Any] = {"type": "array", "items": _TEXT, "minItems": 1}
Given = Annotated[Any, WithJsonSchema({"anyOf": [_TEXT, _TEXTS]})]
"""Validated once the task is known, which determines whether texts, pairs or words are needed."""


class PredictionRequest(BaseModel):
    """Texts to predict on."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"texts": ["a film to remember"]}]})

    texts: list[Given] = Field(
        min_length=1,
        description="Texts, or for tasks on two columns pairs: `[premise, hypothesis]`, `[question, context]`, …; for "
        "token-classification texts, which are cut at blanks, or lists of words",
    )


class Entity(BaseModel):
    """An entity given by tags."""

    type: str
    start: int = Field(description="Position of its first word, from 0")
    end: int = Field(description="Position after its last word")
    text: str = Field(description="Its words")


class Prediction(BaseModel):
    """Prediction of the masked model for one text or pair."""

    value: int | float | str | list[int] | list[str] = Field(
        description="Class id; for a regression the number, for a question the answer (empty where there is none), for a "
        "multilabel task the ids of the labels, for token-classification the tag of each word"
    )
    label: str | None = Field(description="Name of the class; null where there are no classes")
    probabilities: dict[str, float] | None = Field(
        description="Probability of each class by name, for a multilabel task of each label separately; where there are more than "
        "100, of the 100 most probable ones. Not calibrated"
    )
    labels: list[str] | None = Field(
        None, description="Names of a multilabel task's labels whose probability is at least the mask's threshold; else null"
    )
    words: list[str] | None = Field(None, description="token-classification: the words, in order; else null")
    entities: list[Entity] | None = Field(None, description="token-classification: the entities, in order; else null")


class PredictionList(BaseModel):
    """Predictions in the order of the texts."""

    job_id: str
    task: str
    data: list[Prediction]
