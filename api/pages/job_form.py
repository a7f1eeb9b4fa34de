"""Form of a new job: all fields of the request body by group, conversion to the request body, and links that fill it.

Called by ``api.pages.new_job``, and by ``api.pages.job`` for the link that fills the form with a job. The fields are made from the
JSON Schema of the body; only the groups are defined here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlencode

from pydantic import ValidationError

from api.pages.form_fields import NULL, FormField, Typed, shown
from api.schemas.job_request import JobRequest
from pruning.spec.schema import PruningSpec
from pruning.spec.tasks import TASKS

CUSTOM = "custom"
"""Value of the control ``task`` for a task on one's own data, whose fields are then read."""
_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Method and sparsity", ("method", "sparsity", "sparsity_by", "pattern", "init_from", "one_shot", "preset")),
    ("What is trained", ("tier", "train_biases", "train_readout")),
    (
        "Length and batches",
        (
            "epochs",
            "max_steps",
            "batch_size",
            "gradient_accumulation",
            "max_length",
            "stride",
            "train_rows",
            "validation_rows",
            "validation_share",
            "on_bad_rows",
            "bad_rows_limit",
        ),
    ),
    ("Head and labels", ("head", "pooling", "label_words", "label_word_pieces", "template", "calibrate_logits", "fit_readout")),
    ("Teacher", ("teacher", "teacher_labels", "distill_temperature", "distill_share", "distill_states")),
    (
        "Scores and schedule",
        (
            "prior",
            "prior_strength",
            "prior_rows",
            "prior_weights",
            "calibration_rows",
            "ramp",
            "hold",
            "ramp_shape",
            "regularization",
            "regularization_ramp",
            "temperature",
            "surplus",
            "threshold",
        ),
    ),
    (
        "Optimizer",
        ("learning_rate", "weight_learning_rate", "max_grad_norm", "clip_apart", "adam_epsilon", "dropout", "class_weights"),
    ),
    ("Baseline", ("baseline", "baseline_learning_rate")),
    ("Run", ("revision", "seed", "precision", "devices", "eval_every", "keep", "checkpoint_every", "max_duration", "priority")),
    ("Exports and metadata", ("exports", "metadata")),
    ("Webhook", ("webhook.url", "webhook.secret", "webhook.events")),
)
_LONGEST_QUERY = 8000
"""Most characters of a link, which browsers, proxies and servers accept."""


@dataclass(frozen=True)
class JobForm:
    """All fields: what comes first, the fields of a custom task, and the others by group."""

    model: FormField
    task: FormField
    custom: tuple[FormField, ...]
    groups: tuple[tuple[str, tuple[FormField, ...]], ...]

    @property
    def fields(self) -> Iterator[FormField]:
        """Every one of them."""
        yield from (self.model, self.task, *self.custom)
        for _, fields in self.groups:
            yield from fields


@cache
def job_form() -> JobForm:
    """The form of this version's schema."""
    schema = JobRequest.model_json_schema()
    found = {field.name: field for field in _fields(schema, schema["$defs"], required=frozenset(schema["required"]))}
    custom = schema["$defs"]["CustomTask"]
    task = schema["properties"]["task"]
    grouped = {name for _, names in _GROUPS for name in names} | {"model"}
    others = tuple(name for name in found if name not in grouped)
    return JobForm(
        model=found["model"],
        task=FormField("task", "choice", task["description"], None, True, (*TASKS, CUSTOM)),
        custom=tuple(_fields(custom, schema["$defs"], "task.", frozenset(custom["required"]))),
        groups=tuple(
            (title, tuple(found[name] for name in names if name in found))
            for title, names in (*_GROUPS, ("Others", others))
            if any(name in found for name in names)
        ),
    )


def body_of(typed: Typed) -> dict[str, Any]:
    """The request body of a form; not validated."""
    form, body = job_form(), dict[str, Any]()
    is_custom = next(iter(typed.get("task", ())), "") == CUSTOM
    for field in form.fields:
        if field is form.task:
            value = {} if is_custom else field.read(typed)
        else:
            value = field.read(typed) if is_custom or field not in form.custom else None
        if value is None:
            continue
        parent, _, name = field.name.rpartition(".")
        is_null = value == NULL and NULL in field.choices
        (body.setdefault(parent, {}) if parent else body)[name] = None if is_null else value
    return body


def query_of(body: Mapping[str, Any]) -> str | None:
    """The query of a link that fills the form with a body; None where it would be too long for one."""
    form, typed = job_form(), dict[str, list[str]]()
    for field in form.fields:
        parent, _, name = field.name.rpartition(".")
        around = body.get(parent, {}) if parent else body
        if isinstance(around, Mapping) and name in around:
            is_custom = field is form.task and isinstance(around[name], Mapping)
            typed[field.name] = [CUSTOM] if is_custom else field.write(around[name])
    query = urlencode(typed, doseq=True)
    return query if len(query) <= _LONGEST_QUERY else None


def field_at(pointer: str) -> str | None:
    """Name of the field whose control shows a fault at a JSON pointer of the body; None where there is none."""
    path = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    names = {field.name for field in job_form().fields}
    prefixes = (".".join(path[:length]) for length in range(len(path), 0, -1))
    return next((prefix for prefix in prefixes if prefix in names), None)


def defaults_of(body: Mapping[str, Any]) -> dict[str, str]:
    """Default values of the fields that are left out, as far as the others determine them; by name, as displayed."""
    spec = {name: body[name] for name in PruningSpec.model_fields if name in body}
    tried = ({"model": "any", **spec}, {"model": "any", "task": spec.get("task")})
    for given in tried if "task" in spec else ():
        try:
            resolved = PruningSpec.model_validate(given).model_dump(mode="json")
        except ValidationError:
            continue
        return {name: shown(value) for name, value in resolved.items() if name not in given}
    return {}


def _fields(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], prefix: str = "", required: frozenset[str] = frozenset()
) -> Iterator[FormField]:
    """The fields of an object, those of the objects in it among them."""
    for name, declared in schema["properties"].items():
        if (name == "task" and not prefix) or name == "version":
            continue
        plain = _dereferenced(declared, definitions)
        inner = next((branch for branch in (plain, *plain.get("anyOf", ())) if "properties" in branch), None)
        if inner is not None:
            yield from _fields(inner, definitions, f"{prefix}{name}.")
        else:
            yield FormField.from_schema(f"{prefix}{name}", plain, required=name in required)


def _dereferenced(schema: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(schema, dict):
        if "$ref" in schema:
            target = definitions[schema["$ref"].rpartition("/")[2]]
            schema = {**target, **{name: value for name, value in schema.items() if name != "$ref"}}
        return {name: _dereferenced(value, definitions) for name, value in schema.items()}
    return [_dereferenced(value, definitions) for value in schema] if isinstance(schema, list) else schema
