"""``espalier export``: a downloaded mask in other forms, each measured against the dense model, without any service."""

import json
from pathlib import Path
from typing import Annotated

import typer

from espalier.cli import options
from espalier.cli.apply import ModelsDir
from espalier.cli.output import fail, say


def export(
    mask: Annotated[Path, typer.Argument(help="mask.safetensors or mask.espalier of a finished job.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the exports and their figures.")],
    to: Annotated[
        list[str],
        typer.Option("--to", help="compact, csr, onnx, onnx-int8, semi-structured or stock; may be repeated."),
    ],
    model: Annotated[
        Path | None, typer.Option(help="Folder of the base model; default: by the mask's own word.")
    ] = None,
    models_dir: ModelsDir = None,
    datasets_dir: Annotated[
        Path | None,
        typer.Option(envvar="ESPALIER_DATASETS_DIR", help="Folder of local data sets, for the rows to compare on."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Turn a mask and its base model into smaller or faster forms, and measure whether they are. Needs the train extra.

    Example: espalier export mask.safetensors --to compact --to onnx-int8 -o exports
    """
    try:
        from pruning.export.run import run_exports
    except ImportError as missing:
        fail(f"export needs {missing.name}: pip install 'espalier[train]'", code=2)
    from pruning.errors import PruningError
    from pruning.sources import Sources
    from pruning.spec.export_formats import FORMATS, named

    unknown = [name for name in to if name not in FORMATS]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join(FORMATS)}", param_hint="--to")
    try:
        entries = run_exports(mask, named(to), output, model=model, sources=Sources(models_dir, datasets_dir))
    except FileExistsError as there:
        fail(f"{there} exists already; name another folder", code=2)
    except PruningError as error:
        fail(f"{error.message} ({error.code})", code=1)
    for entry in entries:
        size = f" ({entry.bytes} bytes)" if entry.error is None else ""
        say(f"{entry.format}{size}: {entry.verdict}")
    if as_json:
        print(json.dumps([entry.model_dump(mode="json") for entry in entries]))
    if any(entry.error is not None for entry in entries):
        raise typer.Exit(1)
