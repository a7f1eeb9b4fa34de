"""The spec of a pruning job: POST body, stored JSON and trainer argument in one pydantic class.

Torch-free, so that the API can refuse bad input before any work is done. Building a spec *resolves* it: fields left out take the
paper's value for the task, and ``model_dump()`` shows every one of them; parsing the dump again changes nothing.
"""

from typing import Any, Self

from pydantic import ValidationInfo, ValidatorFunctionWrapHandler, field_validator, model_validator

from pruning.spec import rules
from pruning.spec.custom_task import CustomTask
from pruning.spec.errors import spec_error
from pruning.spec.fields import LATER, SpecFields
from pruning.spec.method_info import is_method_name
from pruning.spec.methods import BROKEN, METHODS
from pruning.spec.presets import apply_preset
from pruning.spec.tasks import TASKS, resolve_task
from pruning.spec.templates import resolve_template
from pruning.spec.wording import quoted, suggestion

RECORD = {"record": True}
"""Validation context of specs that were checked when they ran (:meth:`PruningSpec.from_record`, the metadata of masks)."""


class PruningSpec(SpecFields):
    """Everything that determines the result of a pruning run.

    Shares (``sparsity``, ``ramp``, ``hold``) lie between 0 and 1; lengths are in tokens; cadences in optimizer steps.
    Raises pydantic.ValidationError naming the field: unknown names, values out of range, and schedules that cannot fit.
    """

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, given: Any, read: ValidationInfo) -> Any:
        if not isinstance(given, dict):
            return given
        return apply_preset({**LATER, **given} if read.context == RECORD else dict(given))

    @classmethod
    def from_record(cls, stored: Any) -> Self:
        """The spec of a job or a mask that exists: its method need not be installed here, since nothing is trained.

        Fields that are later than the record have the values of :data:`pruning.spec.fields.LATER`. Raises pydantic.ValidationError
        for anything else that a spec cannot have.
        """
        return cls.model_validate(stored, context=RECORD)

    @field_validator("method", mode="wrap")
    @classmethod
    def _usable_method(cls, method: Any, check: ValidatorFunctionWrapHandler, read: ValidationInfo) -> Any:
        if read.context == RECORD and isinstance(method, str) and method not in METHODS and is_method_name(method):
            return method
        if isinstance(method, str) and method in BROKEN:
            raise spec_error(
                "method",
                "method {method} is a plug-in that cannot be used here: {reason}; fix or remove that package",
                kind="method_unavailable",
                method=method,
                reason=BROKEN[method],
            )
        return check(method)

    @field_validator("task")
    @classmethod
    def _known_task(cls, task: str | CustomTask) -> str | CustomTask:
        if isinstance(task, str) and task not in TASKS:
            raise spec_error("task", "{reason}", kind="unknown_task", reason=_unknown_task(task))
        return task

    @field_validator("template")
    @classmethod
    def _resolved_template(cls, template: str | None, checked: ValidationInfo) -> str | None:
        """The text of a template that is named, checked against the columns of the task."""
        if template is None or "task" not in checked.data:
            return template
        return resolve_template(template, resolve_task(checked.data["task"]))

    def holding_out(self, share: float | None) -> Self:
        """The spec with the ``validation_share`` that its data set needs; None changes nothing."""
        return self if share is None else self.model_copy(update={"validation_share": share})

    def on_dataset(self, dataset: str, config: str | None, split: str) -> Self:
        """The spec with a task on the same columns and labels of another data set, measured on ``split``."""
        place = {"dataset": dataset, "config": config, "validation_split": split}
        if isinstance(self.task, CustomTask):
            task = self.task.model_copy(update=place)
        else:
            known = self.task_info
            task = CustomTask.model_validate(
                {
                    **place,
                    "text": known.text,
                    "label": known.label,
                    "kind": known.kind,
                    "metric": known.metrics[0],
                    "labels": known.labels,
                    "label_words": known.label_words,
                }
            )
        return self.model_copy(update={"task": task, "validation_share": None})

    @model_validator(mode="after")
    def _fits(self) -> Self:
        rules.validate(self)
        return self


def _unknown_task(name: str) -> str:
    """Remedy for a task name that does not exist."""
    if "/" in name or name.startswith("ds_"):
        example = f'{{"dataset": {quoted(name)}, "text": ["…"], "label": "…", "labels": ["…", "…"]}}'
        return f"{quoted(name)} is a data set, not a task; give task as an object: {example}"
    known = sorted(TASKS)
    meant = suggestion(name, known)
    hint = f"did you mean {meant}? One of" if meant else "one of"
    return f"unknown task {quoted(name)}; {hint} {', '.join(known)}, or an object with dataset, text and labels"
