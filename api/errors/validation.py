"""Validation errors of a request, as FastAPI and pydantic find them, turned into code, detail and faults of a problem.

Called by ``api.errors.handlers``, by ``api.submission.sweep_grid`` for the path of a fault, and by pages with forms. The rules for
a spec's faults are those of ``pruning.spec.errors.error_details``: ``ctx.param`` names the field to change, and a field whose
default could not be made only follows from another fault.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from api.errors.problems import Fault
from pruning.spec.wording import describe, quoted, without_tags

_NAMED_BY_PATH = {
    "job_id": "job_not_found",
    "dataset_id": "dataset_not_found",
    "mask_id": "uploaded_mask_not_found",
    "sweep_id": "sweep_not_found",
    "webhook_id": "webhook_not_found",
    "name": "artifact_not_found",
}
_NO_OBJECT = frozenset({"missing", "model_type", "model_attributes_type", "dict_type"})
_SECRET_WORDS = ("secret", "token", "password")
_HIDDEN = "***"


@dataclass(frozen=True)
class Rejection:
    """The parts of a problem that depend on the fault; the catalog has the status."""

    code: str
    detail: str
    errors: list[Fault] = field(default_factory=list)


def rejection_of(request: Request, error: RequestValidationError) -> Rejection:
    """A path without a resource (404), a body that cannot be read (400, 415), or every fault of the fields (422)."""
    raw = [fault for fault in error.errors() if fault["type"] != "default_factory_not_called"]
    for fault in raw:
        unreadable = _unreadable(request, fault)
        if unreadable is not None:
            return unreadable
    faults = [_fault(fault, _body_model(request)) for fault in raw]
    where = faults[0].pointer or faults[0].parameter
    detail = f"{where}: {faults[0].detail}" if where else faults[0].detail
    if len(faults) > 1:
        detail += f" (and {len(faults) - 1} more, see errors)"
    return Rejection("invalid_request", detail, faults)


def refused_body(error: ValidationError, model: type[BaseModel]) -> RequestValidationError:
    """The error of a route with a body of ``model`` for a refused body, for routes that build the body from a form."""
    faults = [
        {**fault, "msg": describe(_without_secret(fault, model), model), "described": True, "loc": ("body", *fault["loc"])}
        for fault in error.errors(include_url=False)
        if fault["type"] != "default_factory_not_called"
    ]
    return RequestValidationError(faults)


def json_pointer(path: Sequence[str | int]) -> str:
    """The JSON pointer (RFC 6901) to a field."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _unreadable(request: Request, fault: Mapping[str, Any]) -> Rejection | None:
    place, *path = fault["loc"]
    if place == "path":
        code = _NAMED_BY_PATH.get(str(path[0]), "not_found")
        return Rejection(code, f"there is no resource at {request.url.path}")
    if fault["type"] == "json_invalid":
        detail = f"the body is not JSON: {fault['ctx']['error']} at character {path[0]}"
        return Rejection("malformed_body", detail)
    made_of_form = fault.get("described", False)
    if place == "body" and not path and fault["type"] != "missing" and not made_of_form and not _is_json(request):
        detail = "send the body as JSON, with the header Content-Type: application/json"
        return Rejection("unsupported_media_type", detail)
    return None


def _is_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _body_model(request: Request) -> type[BaseModel] | None:
    """The model of the body of the request's route."""
    body = getattr(request.scope.get("route"), "body_field", None)
    annotation = body.field_info.annotation if body is not None else None
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _fault(fault: Mapping[str, Any], model: type[BaseModel] | None) -> Fault:
    place, *path = fault["loc"]
    fault = _without_secret(fault, model)
    if place != "body":
        detail = describe({**fault, "loc": path}, None)
        return Fault(code=fault["type"], detail=detail, parameter=".".join(map(str, path)))
    if not path and fault["type"] in _NO_OBJECT:
        return Fault(code=fault["type"], detail=_no_object(fault, model), pointer="")
    detail = fault["msg"] if fault.get("described") else describe({**fault, "loc": path}, model)
    return Fault(code=fault["type"], detail=detail, pointer=json_pointer(blamed_path(fault, path)))


def _without_secret(fault: Mapping[str, Any], model: type[BaseModel] | None) -> dict[str, Any]:
    """A fault whose message repeats no secret."""
    return {**fault, "input": _HIDDEN} if _is_secret(fault["loc"], model) else {**fault}


def _is_secret(path: Sequence[str | int], model: type[BaseModel] | None) -> bool:
    """Whether the value may be a secret, which is not repeated: by the name of the field, or in a body that holds one."""
    named = any(word in str(part).lower() for part in path for word in _SECRET_WORDS)
    return named or (model is not None and any(not field.repr for field in model.model_fields.values()))


def _no_object(fault: dict[str, Any], model: type[BaseModel] | None) -> str:
    """A body that is empty or no object: the minimal body, from the first example of the model."""
    extra = model.model_config.get("json_schema_extra") if model is not None else None
    examples: Any = extra.get("examples", []) if isinstance(extra, dict) else []
    such_as = f", such as {json.dumps(examples[0])}" if examples else ""
    given = "is empty" if fault["type"] == "missing" or fault.get("input") is None else f"is {quoted(fault['input'])}"
    return f"the body {given}; send a JSON object{such_as}"


def blamed_path(fault: Mapping[str, Any], path: Sequence[str | int]) -> Sequence[str | int]:
    """Path of the field to change, for a fault that pydantic found at ``path`` of a spec."""
    blamed = fault.get("ctx", {}).get("param")
    if blamed:
        return str(blamed).split(".")
    return without_tags(path)
