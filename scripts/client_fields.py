"""Generator of the client's typed request fields: ``python -m scripts.client_fields``, after any change of a request schema.

From the JSON Schema of the API's request bodies it makes ``espalier/client/job_fields.py``: TypedDicts, by which editors complete
and type checkers check the keywords of ``submit``, ``sweep``, ``list`` and others. The client must not import ``api`` or
``pruning``, so what it knows of the spec is generated. A test compares the file with what is made here.
"""

import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.openapi.utils import get_openapi

from api.routes import jobs
from api.schemas.job_request import EvaluationRequest, ExportRequest, JobRequest
from api.schemas.sweeps import AXES
from pruning.spec.methods import BUILT_IN, METHODS
from scripts.unasync import CLIENT, run_ruff

FILE = CLIENT / "job_fields.py"
_HEAD = '''# made by `python -m scripts.client_fields` from the request schemas of the API; change those, not this file
"""Keywords of ``submit``, ``dry_run``, ``sweep``, ``export``, ``evaluate``, ``page`` and ``list``, as TypedDicts.

For editors and type checkers. Nothing is refused here: the service checks each name and value, and its answer names the field.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Required, TypedDict
'''
_NAMES = {"JobWebhookRequest": "JobWebhook"}
"""Names of request schemas that read differently in a client."""
_OF_THE_SWEEP = ("baseline",)
"""Fields that ``sweep`` takes as a parameter of its own, because a sweep has something else of that name."""
_METHODS = f"""METHODS = {tuple(BUILT_IN)}
\"\"\"Methods of every service; packages installed there add others (``espalier methods``).\"\"\"
"""
_SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}

Schema = Mapping[str, Any]


def module() -> str:
    """The source of ``job_fields.py``. Raises ValueError for a schema that has no type here, CalledProcessError of ruff."""
    job, export, filters = JobRequest.model_json_schema(), ExportRequest.model_json_schema(), _filters()
    evaluation = EvaluationRequest.model_json_schema()
    types = job["$defs"]
    objects = [_typed_dict(_name(name), types[name], types) for name in types if types[name]["type"] == "object"]
    shared = _without(job, [*AXES, *_OF_THE_SWEEP])
    return run_ruff(
        "format",
        "\n\n".join(
            [
                f"{_HEAD}\n{_METHODS}",
                *objects,
                _typed_dict("SharedFields", shared, types, "Fields that the jobs of a sweep have in common."),
                _typed_dict(
                    "JobFields",
                    _without(job, shared["properties"]),
                    types,
                    "Fields of a job. Only ``model`` and ``task`` are required.",
                    "SharedFields",
                ),
                _typed_dict("ExportFields", _without(export, ["formats"]), types, "Fields of a job that exports a mask."),
                _typed_dict("EvaluationFields", evaluation, types, "Fields of a job that evaluates a mask."),
                _typed_dict("JobFilters", filters, filters["$defs"], "Filters of a list of jobs, and its paging."),
            ]
        ),
    )


def _filters() -> Schema:
    """The query of ``GET /v1/jobs`` as the schema of an object; the client leaves out what is None."""
    document = get_openapi(title="", version="", routes=jobs.router.routes)
    parameters = document["paths"]["/v1/jobs"]["get"]["parameters"]
    fields = {
        each["name"]: {
            "anyOf": [*each["schema"].get("anyOf", [each["schema"]]), {"type": "null"}],
            "description": each["description"],
            "default": each["schema"].get("default"),
        }
        for each in parameters
        if each["in"] == "query"
    }
    return {"properties": fields, "$defs": document["components"]["schemas"]}


def _without(schema: Schema, names: Sequence[str] | Mapping[str, Any]) -> Schema:
    kept = {name: field for name, field in schema["properties"].items() if name not in names}
    return {**schema, "properties": kept, "required": [name for name in schema.get("required", ()) if name in kept]}


def _typed_dict(name: str, schema: Schema, types: Schema, summary: str | None = None, base: str = "TypedDict") -> str:
    lines = [f"class {name}({base}, total=False):", _docstring(summary or schema["description"]), ""]
    for field, each in schema["properties"].items():
        kind = _type(each, types)
        lines.append(f"    {field}: " + (f"Required[{kind}]" if field in schema.get("required", ()) else kind))
        default = each.get("default")
        known = f"; default {json.dumps(default)}" if default not in (None, [], {}, ()) else ""
        text = each.get("description", "") + ("" if "efault" in each.get("description", "") else known)
        if kind.startswith("str") and _lists_methods(each):
            text += f"; {', '.join(BUILT_IN)}, or one that a package installed at the service adds"
        if text:
            lines.append(_docstring(text))
    return "\n".join(lines)


def _docstring(text: str) -> str:
    """The text below a class or field, within the line length."""
    return textwrap.fill(f'"""{text.rstrip(".")}."""', 132, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)


def _type(schema: Schema, types: Schema) -> str:
    """The annotation of values that fit the schema."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _name(name) if types[name]["type"] == "object" else _type(types[name], types)
    if parts := schema.get("anyOf") or schema.get("oneOf"):
        return " | ".join(dict.fromkeys(_type(part, types) for part in parts))
    if "const" in schema:
        return f"Literal[{json.dumps(schema['const'])}]"
    if schema.get("enum") == [*METHODS]:
        return "str"  # which others there are, only the service knows
    if "enum" in schema:
        return f"Literal[{', '.join(map(json.dumps, schema['enum']))}]"
    if schema.get("type") == "array":
        return f"Sequence[{_type(schema['items'], types)}]"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"Mapping[str, {_type(schema['additionalProperties'], types)}]"
    if schema.get("type") in _SCALARS:
        return _SCALARS[schema["type"]]
    raise ValueError(f"no type for this schema: {json.dumps(schema)}")


def _lists_methods(schema: Schema) -> bool:
    """Whether its values, null aside, are the methods that are installed here."""
    return any([*METHODS] == part.get("enum") for part in (schema, *schema.get("anyOf", ())))


def _name(of: str) -> str:
    return _NAMES.get(of, of)


if __name__ == "__main__":
    FILE.write_text(module(), encoding="utf-8")
