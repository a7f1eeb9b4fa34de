"""Wording of validation errors: pydantic's error types turned into a sentence that names the mistake and the remedy.

Called by :func:`pruning.spec.errors.error_details` for a spec and by ``api.errors.validation`` for every other request body. Pure
functions of an error (its type, context and the value given) and of the pydantic model that it was found in.
"""

import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

from pruning.spec.synonyms import DENSITY, SYNONYMS

_NUMBER_TYPES = frozenset({"float_type", "float_parsing", "int_type", "int_parsing", "int_from_float", "int_parsing_size"})
_LIST_TYPES = frozenset({"tuple_type", "list_type"})
_OBJECT_TYPES = frozenset({"model_type", "model_attributes_type", "dict_type"})
WORD, SEVERAL_WORDS = "a word", "several words"
"""Tags of the forms of a class in ``label_words``; no field has such a name."""
_TASK_TAGS = ("name", "custom")
_SHOWN = 60
"""Characters of a value that a message quotes."""


def describe(error: Mapping[str, Any], root: type[BaseModel] | None) -> str:
    """The sentence for one of pydantic's errors; messages of our own validators are kept as they are.

    ``root`` is the model of the whole body, in which ``error["loc"]`` is a path; None where it is not known.
    """
    kind, context, given = error["type"], error.get("ctx", {}), error.get("input")
    path = [part for part in without_tags(error["loc"]) if not isinstance(part, int)]
    field = str(path[-1]) if path else "the body"
    if kind == "missing":
        return _missing(field, model_at(root, error["loc"][:-1]))
    if kind == "extra_forbidden":
        return _unknown(field, given, model_at(root, error["loc"][:-1]), top=root)
    if kind in ("literal_error", "enum"):
        return _no_choice(field, given, context)
    if kind in ("less_than", "less_than_equal", "greater_than", "greater_than_equal"):
        return _out_of_range(field, given, kind, context)
    if kind in _NUMBER_TYPES:
        return _no_number(field, given, whole=kind.startswith("int"))
    if kind in _LIST_TYPES:
        suggestion = f"; write [{quoted(given)}]" if isinstance(given, str | int | float) and given != "" else ""
        return f"{field} takes a list, {quoted(given)} is {_kind_of(given)}{suggestion}"
    if kind in _OBJECT_TYPES:
        return f"{field} must be a JSON object in braces, {quoted(given)} is {_kind_of(given)}"
    worded = _BY_TYPE.get(kind)
    return worded(field, given, context) if worded is not None else str(error["msg"])  # a validator of our own


def without_tags(path: Sequence[str | int]) -> list[str | int]:
    """A location of pydantic's without the branches of union types, which the JSON of a body has no level for."""
    kept = [part for part in path if part not in (WORD, SEVERAL_WORDS)]
    if len(kept) > 1 and kept[0] == "task" and kept[1] in _TASK_TAGS:
        del kept[1]
    return kept


def _no_bool(field: str, given: Any, _: Mapping[str, Any]) -> str:
    return f"{field} is true or false (without quotes), not {quoted(given)}"


def _no_text(field: str, given: Any, _: Mapping[str, Any]) -> str:
    wrapped = f'; write "{given}"' if isinstance(given, int | float) and not isinstance(given, bool) else ""
    return f"{field} takes one text, {quoted(given)} is {_kind_of(given)}{wrapped}"


def _too_short(field: str, given: Any, context: Mapping[str, Any]) -> str:
    least, unit = context["min_length"], "characters" if isinstance(given, str) else "entries"
    return f"{field} must not be empty" if least == 1 else f"{field} needs at least {least} {unit}, it has {len(given)}"


def _too_long(field: str, given: Any, context: Mapping[str, Any]) -> str:
    most = context["max_length"]
    if isinstance(given, str):
        return f"{field} may have at most {most} characters, it has {len(given)}; shorten it"
    return f"{field} may have at most {most} entries; leave some out"


def _no_match(field: str, given: Any, context: Mapping[str, Any]) -> str:
    return f"{field}: {quoted(given)} has characters or a form that are not allowed there; it must match {context['pattern']}"


_BY_TYPE: dict[str, Callable[[str, Any, Mapping[str, Any]], str]] = {
    "bool_type": _no_bool,
    "bool_parsing": _no_bool,
    "string_type": _no_text,
    "string_too_short": _too_short,
    "too_short": _too_short,
    "string_too_long": _too_long,
    "too_long": _too_long,
    "string_pattern_mismatch": _no_match,
    "finite_number": lambda field, given, _: f"{field} must be a finite number, not {quoted(given)}",
    "none_required": lambda field, given, _: f"{field} must be null or left out, not {quoted(given)}",
    "string_unicode": lambda field, *_: f"{field} has characters that are not valid Unicode",
}
"""Wording of the types that need the value and the context alone."""


def _missing(field: str, model: type[BaseModel] | None) -> str:
    info = model.model_fields.get(field) if model else None
    meaning = f" ({info.description[0].lower()}{info.description[1:]})" if info and info.description else ""
    return f"{field} is missing; give it{meaning}"


def _unknown(field: str, given: Any, model: type[BaseModel] | None, *, top: type[BaseModel] | None) -> str:
    known = list(model.model_fields) if model else []
    if field.lower() in DENSITY and "sparsity" in known:
        share = f": {round(1 - given, 12)}" if isinstance(given, int | float) and 0 <= given <= 1 else ""
        return f"there is no field {field}; give sparsity, the share that is removed{share}"
    elsewhere = _home_of(field, top, model)
    meant = _same_name(field, known) or (_close_name(field, known) if elsewhere is None else None)
    if meant is not None:
        return f"there is no field {field}; did you mean {meant}?"
    if elsewhere is not None:
        return f"there is no field {field} here; it belongs into {elsewhere}"
    return f"there is no field {field}; leave it out" + (f", or use one of {', '.join(known)}" if 0 < len(known) <= 12 else "")


def _home_of(field: str, top: type[BaseModel] | None, here: type[BaseModel] | None) -> str | None:
    """Where a field belongs that was given in another object: at the top of the body, or in an object of it."""
    if top is None:
        return None
    names = {field, _snake(field), SYNONYMS.get(_snake(field), field)}
    if here is not top and names & top.model_fields.keys():
        return "the top level of the body, next to it"
    for name in top.model_fields:
        inner = model_at(top, [name])
        if inner is not None and inner is not here and names & inner.model_fields.keys():
            return f"{name}, as in {{{json.dumps(name)}: {{{json.dumps(next(iter(names & inner.model_fields.keys())))}: …}}}}"
    return None


def _no_choice(field: str, given: Any, context: Mapping[str, Any]) -> str:
    if field == "keep" and isinstance(given, int | float) and 0 < given <= 1:  # other libraries' name of the density
        return f"keep is last or best; for the share that is removed give sparsity: {round(1 - given, 12)}"
    choices = [choice.strip("'\"") for choice in re.split(r", | or ", str(context["expected"]))]
    meant = suggestion(given, choices) if isinstance(given, str) else None
    listed = ", ".join(choices)
    return f"{field} cannot be {quoted(given)}; " + (f"did you mean {meant}? (one of {listed})" if meant else f"one of {listed}")


def _out_of_range(field: str, given: Any, kind: str, context: Mapping[str, Any]) -> str:
    name, sign = {
        "less_than": ("lt", "below"),
        "less_than_equal": ("le", "at most"),
        "greater_than": ("gt", "above"),
        "greater_than_equal": ("ge", "at least"),
    }[kind]
    limit = context[name]
    if kind.startswith("less") and limit == 1 and isinstance(given, int | float) and 1 < given <= 100:
        return f"{field} is a share, {sign} {limit:g}, not {given:g} per cent; did you mean {given / 100:g}?"
    return f"{field} must be {sign} {limit:g}, not {quoted(given)}"


def _no_number(field: str, given: Any, *, whole: bool) -> str:
    wanted = "a whole number" if whole else "a number"
    if isinstance(given, str) and _is_number(given.strip().rstrip("%")):
        number = float(given.strip().rstrip("%")) / (100 if given.strip().endswith("%") else 1)
        return f"{field} takes {wanted} without quotes; write {number:g}"
    if whole and isinstance(given, float):
        return f"{field} takes {wanted}, not {given:g}; write {round(given)}"
    return f"{field} takes {wanted}, {quoted(given)} is {_kind_of(given)}"


def suggestion(given: str, known: Sequence[str]) -> str | None:
    """The known name closest to ``given``: the name that another library has for it, another spelling, or one letter different."""
    return _same_name(given, known) or _close_name(given, known)


def _same_name(given: str, known: Sequence[str]) -> str | None:
    """A known name that means the same or differs in case and separators only."""
    if (synonym := SYNONYMS.get(_snake(given))) in known:
        return synonym
    folded = {re.sub(r"[\W_]", "", name).lower(): name for name in known}
    return folded.get(re.sub(r"[\W_]", "", given).lower())


def _close_name(given: str, known: Sequence[str]) -> str | None:
    close = difflib.get_close_matches(_snake(given), known, n=1, cutoff=0.75)
    return close[0] if close else None


def model_at(root: type[BaseModel] | None, path: Sequence[str | int]) -> type[BaseModel] | None:
    """The model that describes the object at ``path`` of a body; None where there is none, or more than one."""
    here: Any = root
    for part in path:
        if isinstance(part, int) or not _is_model(here):
            continue
        field = here.model_fields.get(part)
        if field is not None:  # else the tag of a union, which pydantic adds to locations
            here = _model_in(field.annotation)
    return here if _is_model(here) else None


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The only model in a type annotation."""
    if _is_model(annotation):
        return annotation  # type: ignore[no-any-return]  # _is_model has looked
    found = [model for argument in get_args(annotation) if (model := _model_in(argument)) is not None]
    nested = get_origin(annotation) in (Union, UnionType, list, tuple) or hasattr(annotation, "__metadata__")
    return found[0] if nested and len(found) == 1 else None


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def quoted(given: Any) -> str:
    """A value as JSON, shortened."""
    text = json.dumps(given, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def listed(names: Sequence[str], most: int = 20) -> str:
    """Names separated by commas: the first ``most``, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _kind_of(given: Any) -> str:
    kinds = {bool: "a truth value", str: "a text", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return "null" if given is None else kinds.get(type(given), "something else")


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").replace(" ", "_").lower()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.lower() not in ("nan", "inf", "infinity", "-inf", "-infinity")
