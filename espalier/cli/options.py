"""Command-line options and arguments that several commands share, and the parsing of their values."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from espalier.client.job_fields import METHODS

DEFAULT_URL = "http://127.0.0.1:8000"
AsJson = Annotated[bool, typer.Option("--json", help="Print the service's response as JSON.")]

Model = Annotated[str | None, typer.Argument(help="Model on the hub, or a folder under the service's models directory.")]
Task = Annotated[str | None, typer.Argument(help="Task, e.g. sst2, or a file of rows; a custom task is given as JSON.")]
Sparsity = Annotated[float | None, typer.Option(help="Share of the masked weights to remove, e.g. 0.9.")]
SparsityBy = Annotated[
    list[str] | None,
    typer.Option(
        "--sparsity-by",
        metavar="PATTERN=SHARE",
        help="Sparsity of the matrices whose path matches, e.g. --sparsity-by '*.attention.*=0.8'; 0 leaves them dense. "
        "Repeatable.",
    ),
]
Method = Annotated[
    str | None,
    typer.Option(help=f"How scores and masks are made: {', '.join(METHODS)}, or one that a package adds (espalier methods)."),
]
Fields = Annotated[
    list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Any other field of the spec, e.g. --set max_steps=200.")
]
Baseline = Annotated[
    bool, typer.Option("--baseline", help="Train the dense model as well, for as many steps; its metric is shown with the mask's.")
]
SpecFile = Annotated[
    Path | None, typer.Option("--spec", exists=True, dir_okay=False, help="JSON file to start from; options override it.")
]

BaseModelFolder = Annotated[
    Path | None, typer.Option("--model", help="Folder of the base model; default: by the name in the mask.")
]
ModelsDir = Annotated[
    Path | None, typer.Option(envvar="ESPALIER_MODELS_DIR", help="Folder of local models, searched before the hub.")
]


def spec_from(
    model: str | None,
    task: str | None,
    sparsity: float | None,
    method: str | None,
    fields: list[str] | None,
    file: Path | None,
    sparsity_by: list[str] | None = None,
) -> dict[str, Any]:
    """The request body of a job. Raises typer.BadParameter (exit code 2) for values that cannot be read."""
    spec: dict[str, Any] = {}
    if file is not None:
        spec = json_file(file, "--spec")
    given = {"model": model, "task": value(task) if task is not None else None, "sparsity": sparsity, "method": method}
    spec |= {name: value for name, value in given.items() if value is not None}
    spec |= fields_from(fields) | own_sparsities(sparsity_by)
    for name in ("model", "task"):
        if name not in spec:
            hint = f"; {model} is a file: name the model before it" if model and name == "task" and Path(model).is_file() else ""
            raise typer.BadParameter(f"a job needs at least a model and a task; {name} is missing{hint}")
    return spec


def json_file(file: Path, option: str) -> dict[str, Any]:
    """The JSON object in a file, UTF-8 in every locale. Raises typer.BadParameter."""
    try:
        held = json.loads(text_file(file, option))
    except ValueError as error:
        raise typer.BadParameter(f"{file} is not JSON: {error}", param_hint=option) from error
    if not isinstance(held, dict):
        raise typer.BadParameter(f"{file} must hold a JSON object", param_hint=option)
    return held


def text_file(file: Path, option: str) -> str:
    """The text of a file in UTF-8, with or without a byte order mark, in every locale. Raises typer.BadParameter."""
    try:
        return file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}", param_hint=option) from error
    except UnicodeDecodeError as error:
        reason = f"{file} is not UTF-8 text (byte {error.start}); save it as UTF-8"
        raise typer.BadParameter(reason, param_hint=option) from None  # the error quotes the file, which may be a key


def read_secret(file: str | None, option: str) -> str:
    """The one word in ``@FILE``, or on standard input where it is None. Raises typer.BadParameter, which never repeats it."""
    if file is None:
        where, held = "standard input", sys.stdin.read().removeprefix("\ufeff")
    else:
        path = Path(file.removeprefix("@")).expanduser()
        where, held = str(path), text_file(path, option)
    if len(held.split()) != 1:
        raise typer.BadParameter(f"{where} must hold one key or token and nothing else", param_hint=option)
    return held.strip()


def fields_from(fields: list[str] | None) -> dict[str, Any]:
    """Fields of the spec given by ``--set``. Raises typer.BadParameter."""
    return {name: value(given) for name, given in pairs(fields, "--set", "FIELD=VALUE").items()}


def own_sparsities(given: list[str] | None) -> dict[str, Any]:
    """The field that ``--sparsity-by`` gives; empty where it is not used. Raises typer.BadParameter."""
    found = {pattern: value(share) for pattern, share in pairs(given, "--sparsity-by", "PATTERN=SHARE").items()}
    return {"sparsity_by": found} if found else {}


def pairs(given: list[str] | None, option: str, shape: str = "KEY=VALUE") -> dict[str, str]:
    """Values of an option that takes pairs. Raises typer.BadParameter."""
    found: dict[str, str] = {}
    for pair in given or []:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{pair!r} is not {shape}", param_hint=option)
        found[name] = text
    return found


def value(text: str) -> Any:
    """JSON where it is JSON (numbers, lists, null), else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text
