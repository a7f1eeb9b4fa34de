"""Form fields generated from a JSON Schema: their controls, and the conversion of their text to JSON.

Called by ``api.pages.job_form``. A control is named by the dotted path of its field. Text is parsed as JSON where possible and
otherwise kept as text, so that refusals are those of the API. An empty control is a field left out.
"""

import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

NULL = "null"
"""Choice of a field that may be null and has another default."""
Typed = Mapping[str, Sequence[str]]
"""Values of the controls of a form, by name."""
Kind = Literal[
    "text", "integer", "number", "boolean", "choice", "choices", "texts", "lines", "records", "pairs", "number pairs", "weights"
]
_MOST_CONTROLS = 4
"""A list that may be longer is one control with a line for each entry; "records" are lines of which each is a text or several,
written as CSV."""
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
    """Default as displayed; None for one that follows other fields."""
    required: bool
    choices: tuple[str, ...] = ()
    controls: int = 1
    """Entries that a list of few may have."""
    secret: bool = False
    """Whether the value is secret and never displayed."""

    @classmethod
    def from_schema(cls, name: str, schema: Mapping[str, Any], *, required: bool) -> "FormField":
        """``schema`` has no references."""
        branches = [branch for branch in schema.get("anyOf", ()) if branch.get("type") != "null"]
        nullable = len(branches) < len(schema.get("anyOf", ()))
        plain = {**schema, **(branches[0] if branches else {})}
        kind, choices = ("weights", ()) if _is_word_or_numbers(branches) else _kind_of(plain)
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
        """The value as JSON, or the text where it is not JSON; None for a field that is left out."""
        entries = [entry.strip() for entry in typed.get(self.name, ()) if entry.strip()]
        if self.kind in ("texts", "choices"):
            return entries or None
        text = entries[0] if entries else ""
        match self.kind:
            case "lines":
                return [line.strip() for line in text.splitlines() if line.strip()] or None
            case "records":
                return [_record(line) for line in text.splitlines() if line.strip()] or None
            case "pairs":
                return _pairs(text)
            case "weights":
                return _weights(text)
            case "number pairs":
                pairs = _pairs(text)
                return {key: _number(value) for key, value in pairs.items()} if isinstance(pairs, dict) else pairs
            case "integer" | "number":
                return _number(text)
            case "boolean":
                return {"true": True, "false": False}.get(text, text or None)
        return text or None

    def write(self, value: Any) -> list[str]:
        """Text of the control for a value; the inverse of :meth:`read`."""
        if value is None:
            return [NULL] if NULL in self.choices else []
        match self.kind:
            case "texts" | "choices":
                return [*map(str, value)]
            case "lines":
                return ["\n".join(map(str, value))]
            case "records":
                return ["\n".join(_record_line(entry) for entry in value)]
            case "pairs" | "number pairs":
                return ["\n".join(f"{key} = {text}" for key, text in value.items())]
            case "weights" if not isinstance(value, str):
                return [", ".join(map(json.dumps, value))]
        return [value if isinstance(value, str) else json.dumps(value)]


def shown(value: Any) -> str:
    """Display of a JSON value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        nested = ((f"[{shown(entry)}]" if isinstance(entry, list | tuple) else shown(entry)) for entry in value)
        return ", ".join(nested) or "none"
    return "none" if value is None or value == {} else f"{value:g}" if isinstance(value, float) else str(value)


def _is_word_or_numbers(branches: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a field takes a word or a list of numbers."""
    first, *others = (branch.get("type") for branch in branches) if branches else (None,)
    return first == "string" and others == ["array"] and branches[1]["items"].get("type") == "number"


def _kind_of(schema: Mapping[str, Any]) -> tuple[Kind, tuple[str, ...]]:
    if "enum" in schema or "const" in schema:
        return "choice", tuple(map(str, schema.get("enum", [schema.get("const")])))
    match schema["type"]:
        case "boolean":
            return "boolean", ("true", "false")
        case "integer" | "number" as number:
            return number, ()
        case "object" if schema.get("additionalProperties", {}).get("type") == "number":
            return "number pairs", ()
        case "object":
            return "pairs", ()
        case "array" if "enum" in schema["items"]:
            return "choices", tuple(schema["items"]["enum"])
        case "array" if any(branch.get("type") == "array" for branch in schema["items"].get("oneOf", ())):
            return "records", ()
        case "array":
            return ("texts" if schema.get("maxItems", 1000) <= _MOST_CONTROLS else "lines"), ()
    return "text", ()


def _number(text: str) -> int | float | str | None:
    if _WHOLE.fullmatch(text):
        return int(text)
    number = float(text) if _NUMBER.fullmatch(text) else math.inf
    return number if math.isfinite(number) else text or None


def _weights(text: str) -> list[int | float] | str | None:
    """Numbers with commas or blanks between them; any other text unchanged."""
    numbers = [_number(part) for part in text.replace(",", " ").split()]
    found = [number for number in numbers if isinstance(number, int | float)]
    return found if found and len(found) == len(numbers) else text or None


def _record(line: str) -> str | list[str]:
    """The entry of a line of CSV, or its list of entries; a line that is not CSV unchanged."""
    try:
        entries = [entry.strip() for entry in next(csv.reader([line.strip()], skipinitialspace=True))]
    except csv.Error:
        return line.strip()
    return entries[0] if len(entries) == 1 else entries


def _record_line(entry: Any) -> str:
    """The inverse of :func:`_record`."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(entry if isinstance(entry, list | tuple) else [entry])
    return line.getvalue()


def _pairs(text: str) -> dict[str, str] | str | None:
    """Lines of ``key = value``; a text with any other line unchanged."""
    lines = [line for line in text.splitlines() if line.strip()]
    pairs = [line.partition("=") for line in lines]
    if not all(sign for _, sign, _ in pairs) or len({key.strip() for key, *_ in pairs}) < len(pairs):
        return text
    return {key.strip(): value.strip() for key, _, value in pairs} or None
