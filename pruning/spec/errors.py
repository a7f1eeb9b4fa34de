"""Validation errors of a spec: they name the field to change and the remedy, for one field or for a combination of fields.

Raised by the validators in this package and by the API's request models; :func:`error_details` is the form in which both the
API's problem details and the trainer's error event show them.
"""

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from pruning.spec.wording import describe, without_tags


def spec_error(param: str, message: str, *, kind: str = "spec_conflict", **context: object) -> PydanticCustomError:
    """An error for a validator of the whole spec to raise; it still names the field to change (``ctx["param"]``)."""
    return PydanticCustomError(kind, message, {"param": param, **context})


def error_details(validation_error: ValidationError, model: type[BaseModel] | None = None) -> list[dict[str, str]]:
    """One entry for each error of a spec: ``param`` (dotted field), ``code`` and ``message``.

    ``model`` is the class that refused it, so that messages can suggest the closest field.
    """
    details = []
    for error in validation_error.errors():
        if error["type"] == "default_factory_not_called":
            continue  # a consequence of another error in the list
        context = error.get("ctx", {})
        path = map(str, without_tags(error["loc"]))
        details.append({"param": context.get("param") or ".".join(path), "code": error["type"], "message": describe(error, model)})
    return details
