"""The spec of a pruning job: POST body, stored JSON and trainer argument in one pydantic class.

Torch-free, so that the API can refuse bad input before any work is done. Building a spec *resolves* it: fields left out take the
paper's value for the task, and ``model_dump()`` shows every one of them; parsing the dump again changes nothing.
"""

from typing import Any, Self

from pydantic import field_validator, model_validator

from pruning.spec import rules
from pruning.spec.errors import spec_error
from pruning.spec.fields import SpecFields
from pruning.spec.presets import apply_preset
from pruning.spec.tasks import TASKS, CustomTask


class PruningSpec(SpecFields):
    """Everything that decides the result of a pruning run.

    Shares (``sparsity``, ``ramp``, ``hold``) lie between 0 and 1; lengths are in tokens; cadences in optimizer steps.
    Raises pydantic.ValidationError naming the field: unknown names, values out of range, and schedules that cannot fit.
    """

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, given: Any) -> Any:
        return apply_preset(dict(given)) if isinstance(given, dict) else given

    @field_validator("task")
    @classmethod
    def _known_task(cls, task: str | CustomTask) -> str | CustomTask:
        if isinstance(task, str) and task not in TASKS:
            raise spec_error(
                "task", "unknown task {task}; one of {known}, or an object with dataset, text and label_words",
                kind="unknown_task", task=repr(task), known=", ".join(sorted(TASKS)),
            )  # fmt: skip
        return task

    @model_validator(mode="after")
    def _fits(self) -> Self:
        rules.validate(self)
        return self
