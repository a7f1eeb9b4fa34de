"""Service context of a command: URL of the service, API key, and whether to print JSON.

Called by every command that talks to a service over HTTP. :func:`with_service` gives a command the options ``--url``,
``--api-key`` and ``--json``; their values are its one argument ``context``.
"""

import functools
import inspect
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from inspect import Parameter
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from espalier.cli.credentials import key_for
from espalier.cli.ids import IdKind, resolve
from espalier.cli.options import DEFAULT_URL, AsJson
from espalier.cli.output import format_list, notify, print_json, print_table

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import RenderableType

    from espalier.client._sync.client import Client

_Url = Annotated[str, typer.Option("--url", envvar="ESPALIER_URL", help="URL of the service.")]
_ApiKey = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        envvar="ESPALIER_API_KEY",
        help="Key of a service that requires one; preferably @FILE, a file that holds it: other users see a command's arguments. "
        "Default: the one that espalier login has stored.",
    ),
]
_OPTIONS = (
    Parameter("url", Parameter.KEYWORD_ONLY, default=DEFAULT_URL, annotation=_Url),
    Parameter("api_key", Parameter.KEYWORD_ONLY, default=None, annotation=_ApiKey),
    Parameter("as_json", Parameter.KEYWORD_ONLY, default=False, annotation=AsJson),
)


@dataclass(frozen=True)
class ServiceContext:
    """Values of ``--url``, ``--api-key`` and ``--json``."""

    url: str
    api_key: str | None = field(repr=False)
    as_json: bool

    def client(self) -> "Client":
        """A client of the service. Raises typer.BadParameter for a key that cannot be read."""
        from espalier.client._sync.client import Client

        # only on a terminal; in a log the error names the time limit
        when_slow = notify if sys.stderr.isatty() else None
        return Client(self.url, self.key(), notify=notify, notify_when_slow=when_slow)

    def key(self) -> str | None:
        """The key itself, given or stored, which no message may repeat.

        Raises typer.BadParameter, EspalierError for one that cannot be read.
        """
        return key_for(self.url, self.api_key)

    def print_line(self, line: str, data: dict[str, Any]) -> None:
        """Print a line, or the same as JSON."""
        if self.as_json:
            print_json(json.dumps(data))
        else:
            print(line)

    def print_resource(self, resource: "BaseModel", line: str) -> None:
        """A line on a resource, or the resource itself as JSON."""
        if self.as_json:
            print_json(resource.model_dump_json(indent=2))
        else:
            print(line)

    def print_list(self, resources: "Sequence[BaseModel]", table: "Callable[[], RenderableType]", *, wide: bool = False) -> None:
        """Print the ``table`` of the resources, or the resources as one JSON list."""
        if self.as_json:
            print_json(format_list(resources))
        else:
            print_table(table(), wide=wide)


def with_service(command: Callable[..., None]) -> Callable[..., None]:
    """The command with ``--url``, ``--api-key`` and ``--json`` as its last options, in place of its argument ``context``.

    Its arguments of the types in :mod:`espalier.cli.ids` reach it as whole ids.
    """
    signature = inspect.signature(command, eval_str=True)
    kinds = {name: kind for name, parameter in signature.parameters.items() if (kind := _id_kind(parameter)) is not None}

    @functools.wraps(command)
    def run(*, url: str, api_key: str | None, as_json: bool, **given: Any) -> None:
        context = ServiceContext(url, api_key, as_json)
        for name, kind in kinds.items():
            if not kind.is_whole(given[name]):
                with context.client() as client:
                    given[name] = resolve(client, kind, given[name])
        command(**given, context=context)

    own = (parameter.replace(kind=Parameter.KEYWORD_ONLY) for name, parameter in signature.parameters.items() if name != "context")
    parameters = [*own, *_OPTIONS]
    vars(run)["__signature__"] = signature.replace(parameters=parameters)  # which Typer reads, with the annotations
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _id_kind(parameter: Parameter) -> IdKind | None:
    """Kind of resource that the parameter identifies; None for other parameters."""
    return next((each for each in get_args(parameter.annotation) if isinstance(each, IdKind)), None)
