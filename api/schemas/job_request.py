"""Request bodies that submit a job: one that prunes, and those that export or evaluate the mask of another."""

from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from api.schemas.base import StrictModel
from api.schemas.webhooks import JobWebhookRequest
from pruning.spec.custom_task import DatasetName, SplitName
from pruning.spec.errors import spec_error
from pruning.spec.export_formats import FORMATS, Format, unsupported_by_pattern
from pruning.spec.schema import PruningSpec

Key = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Value = Annotated[str, StringConstraints(max_length=512)]
MAX_SPEC_BYTES = 256 * 1024
"""Largest resolved spec that is stored, enough for 5000 class names of 40 letters: quotas do not count specs."""


class JobRequest(StrictModel, PruningSpec):
    """A pruning spec, with the fields of the job that do not affect its result. Only model and task are required."""

    model_config = ConfigDict(
        allow_inf_nan=False,  # Python's JSON reader takes NaN and Infinity; no database does
        json_schema_extra={
            "examples": [
                {"model": "google-bert/bert-base-uncased", "task": "sst2"},
                {
                    "model": "bert-base-uncased",
                    "task": "mrpc",
                    "method": "smp-l",
                    "sparsity": 0.97,
                    "seed": 1,
                    "metadata": {"experiment": "table-2"},
                    "priority": 10,
                    "max_duration": 7200,
                    "webhook": {"url": "https://example.com/espalier", "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"},
                },
                {
                    "model": "roberta-base",
                    "task": {"dataset": "tickets", "text": ["body"], "label": "queue", "label_words": ["hard", "soft"]},
                },
            ]
        },
    )

    metadata: dict[Key, Value] = Field(
        default_factory=dict, max_length=16, description="Your own key-value pairs; shown back, never read"
    )
    priority: int = Field(0, ge=-100, le=100, description="Queued jobs with a higher one start first")
    max_duration: float | None = Field(
        None, gt=0, le=366 * 86400, description="Seconds that one run may take before it is ended; default the service's"
    )
    exports: tuple[Format, ...] = Field(
        (), max_length=len(FORMATS), description="Exports of the mask made at the end, each measured before and after"
    )

    webhook: JobWebhookRequest | None = Field(None, description="Webhook for this job, in addition to your other webhooks")

    @model_validator(mode="after")
    def _storable(self) -> Self:
        if "\\u0000" in self.model_dump_json():
            raise PydanticCustomError("nul_character", "text must not contain NUL characters")
        return self

    @model_validator(mode="after")
    def _small(self) -> Self:
        size = len(self.spec.model_dump_json().encode())
        if size > MAX_SPEC_BYTES:
            raise PydanticCustomError(
                "spec_too_large",
                "the spec has {size} bytes with its defaults, and at most {most} are stored; give fewer or shorter labels",
                {"size": size, "most": MAX_SPEC_BYTES},
            )
        return self

    @model_validator(mode="after")
    def _exportable(self) -> Self:
        misfit = unsupported_by_pattern(self.exports, self.pattern)
        if misfit is not None:
            raise spec_error(f"exports.{misfit.index}", "{reason}", reason=misfit.message)
        if len(set(self.exports)) < len(self.exports):
            raise spec_error("exports", "each export is made once; name each format once")
        return self

    @property
    def spec(self) -> PruningSpec:
        """The resolved spec alone, as it is stored and passed to the trainer."""
        return PruningSpec(**self.model_dump(include=set(PruningSpec.model_fields)))

    @property
    def stored(self) -> dict[str, Any]:
        """The stored part of the request: arguments of ``service.jobs.commands.create``."""
        return {
            "spec": self.spec.model_dump(mode="json"),
            "metadata": self.metadata,
            "priority": self.priority,
            "max_duration": self.max_duration,
            "exports": self.exports,
        }


class MaskJobRequest(StrictModel):
    """Fields of export and evaluation jobs that pruning jobs have as well."""

    priority: int = Field(0, ge=-100, le=100, description="As for any job")
    max_duration: float | None = Field(None, gt=0, le=366 * 86400, description="As for any job")


class ExportRequest(MaskJobRequest):
    """Exports of the mask of a job."""

    model_config = ConfigDict(
        extra="forbid", allow_inf_nan=False, json_schema_extra={"examples": [{"formats": ["compact", "onnx-int8"]}]}
    )

    formats: list[Format] = Field(
        min_length=1,
        max_length=len(FORMATS),
        description="Each is measured before and after",
        json_schema_extra={"uniqueItems": True},
    )

    @model_validator(mode="after")
    def _once_each(self) -> "ExportRequest":
        if len(set(self.formats)) < len(self.formats):
            raise spec_error("formats", "each export is made once; name each format once")
        return self


class EvaluationRequest(MaskJobRequest):
    """Rows on which the mask of a job is evaluated; by default those that its training validated on."""

    model_config = ConfigDict(
        extra="forbid",
        allow_inf_nan=False,
        json_schema_extra={"examples": [{"split": "test"}, {"dataset": "reviews", "split": "march", "dense": True}]},
    )

    dataset: DatasetName | None = Field(
        None,
        description="Another data set with the task's columns and labels: the id of an uploaded one, a folder under the data sets "
        "directory, or one on the hub; default the task's own",
    )
    config: str | None = Field(None, max_length=100, description="Configuration of a hub data set")
    split: SplitName | None = Field(
        None, description="Default the rows that the training validated on; of another data set `validation`"
    )
    rows: int | None = Field(
        None,
        ge=1,
        le=2**40,
        description="Use only the first rows; default all, and of the training's own validation split as many as it used",
    )
    dense: bool = Field(False, description="Evaluate the dense model as well, zero-shot")

    @model_validator(mode="after")
    def _config_of_a_dataset(self) -> Self:
        if self.config is not None and self.dataset is None:
            raise spec_error("config", "config is that of another data set; name it in dataset, or leave config out")
        return self
