"""Base class of the client's response models, paths of resources, and checks of text lists.

Called by ``models.py`` and the files of calls. A response of another program is refused with one line that never quotes it.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any, Self, TypeVar, get_type_hints
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, ValidationError

from espalier.errors import NotEspalierError

_Call = TypeVar("_Call", bound=Callable[..., Any])


class Resource(BaseModel):
    """Unknown fields are allowed and kept."""

    model_config = ConfigDict(frozen=True, extra="allow")

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Raises NotEspalierError for data that no Espalier service sends; never quotes it, because it may hold a secret."""
        try:
            return super().model_validate(obj, **options)
        except ValidationError as error:
            raise _unlike(cls, error) from error

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """``model_validate`` with NotEspalierError in place of pydantic's error."""
        try:
            return super().model_validate_json(json_data, **options)
        except ValidationError as error:
            raise _unlike(cls, error) from error


def resource_path(collection: str, resource: Any) -> str:
    """Path of a resource or of its id, which may be any text that a user typed. Raises TypeError, ValueError."""
    name = resource if isinstance(resource, str) else getattr(resource, "id", None)
    if not isinstance(name, str):
        raise TypeError(f"give an id or what the client returned, not {type(resource).__name__}")
    if name in ("", ".", ".."):
        raise ValueError(f"{name!r} is not an id of one of the {collection}")
    return f"/v1/{collection}/{quote(name, safe='')}"


def _unlike(model: type[BaseModel], error: ValidationError) -> NotEspalierError:
    fields = ", ".join(sorted({".".join(map(str, fault["loc"])) or "body" for fault in error.errors(include_input=False)}))
    return NotEspalierError(
        f"the answer is not a {model.__name__.lower()} of an Espalier service of this version (see: {fields}); is the URL right?"
    )


Text = str | tuple[str, ...] | list[str]
"""A text, a pair of them, or a list of words."""


def list_of_texts(texts: str | Sequence[Text]) -> list[str | tuple[str, ...]]:
    """Texts, pairs or lists of words as a list; one ``str`` is one text, not its letters. Raises TypeError."""
    if isinstance(texts, str):
        return [texts]
    if not isinstance(texts, Iterable) or isinstance(texts, (bytes, bytearray, Mapping, Set)):
        raise TypeError(f"texts must be a str or a list of them, not {type(texts).__name__}")
    given = [tuple(each) if isinstance(each, list) else each for each in texts]
    for each in given:
        if isinstance(each, tuple) and each and all(isinstance(part, str) for part in each):
            continue
        if not isinstance(each, str):
            raise TypeError(f"each text must be a str, a pair of them or a list of words, not {type(each).__name__}")
    return given


def lists_fields(fields: type) -> Callable[[_Call], _Call]:
    """Decorator of a method that takes the fields of a TypedDict as ``**fields``: its signature lists them one by one.

    Type checkers read the annotation; ``help()`` and the completion of IPython and notebooks read the signature. Names that are not
    listed are taken as well: a newer service may have them, and others suggest the most similar field.
    """

    def listed(call: _Call) -> _Call:
        signature = inspect.signature(call)
        required: frozenset[str] = getattr(fields, "__required_keys__", frozenset())
        *own, others = signature.parameters.values()
        named = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                annotation=annotation,
                default=inspect.Parameter.empty if name in required else _DEFAULT,
            )
            for name, annotation in get_type_hints(fields).items()
        ]
        call.__signature__ = signature.replace(  # type: ignore[attr-defined]  # read by inspect.signature
            parameters=[*own, *named, others.replace(annotation=Any)]
        )
        return call

    return listed


class _Default:
    """Placeholder in signatures of a default that the service decides."""

    def __repr__(self) -> str:
        return "<default of the service>"


_DEFAULT = _Default()
