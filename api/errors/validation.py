"""What FastAPI found wrong with a request, as a problem. Called by ``api.errors.catalog``.

The rules for a spec's faults are those of ``pruning.spec.schema.explain``: ``ctx.param`` names the field to change, and a field
whose default could not be made only follows from another fault.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError

from api.errors.problems import Fault

_NAMED_BY_PATH = {
    "job_id": "job_not_found",
    "dataset_id": "dataset_not_found",
    "sweep_id": "sweep_not_found",
    "webhook_id": "webhook_not_found",
    "name": "artifact_not_found",
}
_TASK_TAGS = ("name", "custom")
"""Branches of the union type of ``task``; pydantic names them in error locations, users know nothing of them."""


@dataclass(frozen=True)
class Rejection:
    """What ``api.errors.catalog`` makes an answer of."""

    status: int
    code: str
    detail: str
    errors: list[Fault] = field(default_factory=list)


def rejection_of(request: Request, error: RequestValidationError) -> Rejection:
    """404 for a path that names nothing, 400 or 415 for a body that could not be read, else 422 with every fault."""
    raw = [fault for fault in error.errors() if fault["type"] != "default_factory_not_called"]
    for fault in raw:
        whole = _unreadable(request, fault)
        if whole is not None:
            return whole
    faults = [_fault(fault) for fault in raw]
    where = faults[0].pointer or faults[0].parameter
    detail = f"{where}: {faults[0].detail}" if where else faults[0].detail
    if len(faults) > 1:
        detail += f" (and {len(faults) - 1} more, see errors)"
    return Rejection(422, "invalid_request", detail, faults)


def json_pointer(path: Sequence[str | int]) -> str:
    """RFC 6901."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _unreadable(request: Request, fault: dict[str, Any]) -> Rejection | None:
    place, *path = fault["loc"]
    if place == "path":
        code = _NAMED_BY_PATH.get(str(path[0]), "not_found")
        return Rejection(404, code, f"there is nothing at {request.url.path}")
    if fault["type"] == "json_invalid":
        detail = f"the body is not JSON: {fault['ctx']['error']} at character {path[0]}"
        return Rejection(400, "malformed_body", detail)
    if place == "body" and not path and fault["type"] != "missing" and not _is_json(request):
        detail = "send the body as JSON, with the header Content-Type: application/json"
        return Rejection(415, "unsupported_media_type", detail)
    return None


def _is_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _fault(fault: dict[str, Any]) -> Fault:
    place, *path = fault["loc"]
    if place != "body":
        return Fault(code=fault["type"], detail=fault["msg"], parameter=".".join(map(str, path)))
    return Fault(code=fault["type"], detail=fault["msg"], pointer=json_pointer(blamed_path(fault, path)))


def blamed_path(fault: Mapping[str, Any], path: Sequence[str | int]) -> Sequence[str | int]:
    """The field to change, of a fault that pydantic found at ``path`` of a spec."""
    blamed = fault.get("ctx", {}).get("param")
    if blamed:
        return str(blamed).split(".")
    if len(path) > 1 and path[0] == "task" and path[1] in _TASK_TAGS:
        return [path[0], *path[2:]]
    return path
