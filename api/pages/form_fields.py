"""Fields of the form for a new job, made from the JSON Schema of the request body, and the body that a form stands for.

Called by ``api.pages.new_job``. A control is named by the dotted path of its field. What is typed is turned into JSON as far as it
can be read and is otherwise left as text, so that the refusals are those of the API. An empty control is a field left out.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from pydantic import ValidationError

from api.schemas.job_request import JobRequest
from pruning.spec.schema import PruningSpec
from pruning.spec.tasks import TASKS

CUSTOM = "custom"
"""Value of the control ``task`` for a task on one's own data, whose fields are then read."""
NULL = "null"
"""Choice of a field that may be null and has another default."""
Typed = Mapping[str, Sequence[str]]
"""What the controls of a form hold, by name."""
Kind = Literal["text", "integer", "number", "boolean", "choice", "choices", "texts", "lines", "pairs"]
_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Method and sparsity", ("method", "sparsity", "pattern", "one_shot", "preset")),
    ("What is trained", ("tier", "train_biases", "train_readout")),
    ("Length and batches", (
        "epochs", "max_steps", "batch_size", "gradient_accumulation", "max_length", "stride", "train_rows", "validation_rows",
    )),
    ("Head and labels", ("head", "label_words", "calibrate_logits")),
    ("Teacher", ("teacher", "teacher_labels", "distill_temperature", "distill_share")),
    ("Scores and schedule", (
        "prior", "prior_strength", "calibration_rows", "ramp", "hold", "ramp_shape", "regularization", "regularization_ramp",
        "temperature", "surplus", "threshold",
    )),
    ("Optimizer", ("learning_rate", "weight_learning_rate", "max_grad_norm", "adam_epsilon", "dropout")),
    ("Run", ("revision", "seed", "precision", "devices", "eval_every", "checkpoint_every", "max_duration", "priority")),
    ("Exports and metadata", ("exports", "metadata")),
    ("Webhook", ("webhook.url", "webhook.secret", "webhook.events")),
)  # fmt: skip
_MOST_CONTROLS = 4
"""A list that may be longer is one control with a line for each entry."""
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d{1,300}", re.ASCII)


@dataclass(frozen=True)
class FormField:
    """A field of the request body, as a control shows it."""

    name: str
    """Path in the body, dotted."""
    kind: Kind
    description: str
    default: str | None
    """As it is shown; None for one that follows other fields."""
    required: bool
    choices: tuple[str, ...] = ()
    controls: int = 1
    """Entries that a list of few may have."""
    secret: bool = False
    """Is never shown back."""

    @classmethod
    def from_schema(cls, name: str, schema: Mapping[str, Any], *, required: bool) -> "FormField":
        """``schema`` has no references."""
        branches = [branch for branch in schema.get("anyOf", ()) if branch.get("type") != "null"]
        nullable = len(branches) < len(schema.get("anyOf", ()))
        plain = {**schema, **(branches[0] if branches else {})}
        kind, choices = _kind_of(plain)
        if kind == "choice" and nullable and "default" not in plain:
            choices = (*choices, NULL)
        return cls(
            name=name,
            kind=kind,
            description=plain.get("description", ""),
            default=shown(plain["default"]) if "default" in plain else None,
            required=required,
            choices=choices,
            controls=plain["maxItems"] if kind == "texts" else 1,
            secret=plain.get("writeOnly", False),
        )

    def read(self, typed: Typed) -> Any:
        """The value as JSON, or the text that is none; None for a field that is left out."""
        entries = [entry.strip() for entry in typed.get(self.name, ()) if entry.strip()]
        if self.kind in ("texts", "choices"):
            return entries or None
        text = entries[0] if entries else ""
        match self.kind:
            case "lines":
                return [line.strip() for line in text.splitlines() if line.strip()] or None
            case "pairs":
                return _pairs(text)
            case "integer" | "number":
                return _number(text)
            case "boolean":
                return {"true": True, "false": False}.get(text, text or None)
        return text or None


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
    """The body of a request that a form stands for; not validated."""
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


def field_at(pointer: str) -> str | None:
    """Name of the field whose control shows what is wrong at a JSON pointer of the body; None where there is none."""
    path = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    names = {field.name for field in job_form().fields}
    prefixes = (".".join(path[:length]) for length in range(len(path), 0, -1))
    return next((prefix for prefix in prefixes if prefix in names), None)


def defaults_of(body: Mapping[str, Any]) -> dict[str, str]:
    """Values that the fields left out take, as far as the others say; by name, as they are shown."""
    spec = {name: body[name] for name in PruningSpec.model_fields if name in body}
    tried = ({"model": "any", **spec}, {"model": "any", "task": spec.get("task")})
    for given in tried if "task" in spec else ():
        try:
            resolved = PruningSpec.model_validate(given).model_dump(mode="json")
        except ValidationError:
            continue
        return {name: shown(value) for name, value in resolved.items() if name not in given}
    return {}


def shown(value: Any) -> str:
    """A JSON value in words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value)) or "none"
    return "none" if value is None or value == {} else f"{value:g}" if isinstance(value, float) else str(value)


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


def _kind_of(schema: Mapping[str, Any]) -> tuple[Kind, tuple[str, ...]]:
    if "enum" in schema or "const" in schema:
        return "choice", tuple(map(str, schema.get("enum", [schema.get("const")])))
    match schema["type"]:
        case "boolean":
            return "boolean", ("true", "false")
        case "integer" | "number" as number:
            return number, ()
        case "object":
            return "pairs", ()
        case "array" if "enum" in schema["items"]:
            return "choices", tuple(schema["items"]["enum"])
        case "array":
            return ("texts" if schema.get("maxItems", 1000) <= _MOST_CONTROLS else "lines"), ()
    return "text", ()


def _number(text: str) -> int | float | str | None:
    if _WHOLE.fullmatch(text):
        return int(text)
    number = float(text) if _NUMBER.fullmatch(text) else math.inf
    return number if math.isfinite(number) else text or None


def _pairs(text: str) -> dict[str, str] | str | None:
    """Lines of ``key = value``; a text with any other line as it is."""
    lines = [line for line in text.splitlines() if line.strip()]
    pairs = [line.partition("=") for line in lines]
    if not all(sign for _, sign, _ in pairs) or len({key.strip() for key, *_ in pairs}) < len(pairs):
        return text
    return {key.strip(): value.strip() for key, _, value in pairs} or None
