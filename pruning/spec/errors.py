"""How a spec says no: errors that name the field and the remedy, whether one field or several together are at fault."""

from pydantic import ValidationError
from pydantic_core import PydanticCustomError


def spec_error(param: str, message: str, *, kind: str = "spec_conflict", **context: object) -> PydanticCustomError:
    """An error of the whole spec that still names the field to change (``ctx["param"]``)."""
    return PydanticCustomError(kind, message, {"param": param, **context})


def error_details(refusal: ValidationError) -> list[dict[str, str]]:
    """What is wrong with a spec, one entry per fault: ``param`` (dotted field), ``code`` and ``message``.

    Both ends that refuse specs use it: the API for its problem details, the trainer for its error event.
    """
    faults = []
    for error in refusal.errors():
        if error["type"] == "default_factory_not_called":
            continue  # a consequence of another fault in the list
        context = error.get("ctx", {})
        path = [str(part) for part in error["loc"]]
        if path[:1] == ["task"] and path[1:2] in (["name"], ["custom"]):
            del path[1]  # which of the two forms of a task was tried
        faults.append({"param": context.get("param") or ".".join(path), "code": error["type"], "message": error["msg"]})
    return faults
