"""``espalier convert``: a mask in another form."""

import json
from pathlib import Path
from typing import Annotated

import typer

from espalier.cli import options
from espalier.cli.output import fail, say


def convert(
    mask: Annotated[Path, typer.Argument(help="mask.safetensors, mask.espalier or the reference code's .npy.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Ends in .safetensors, .espalier or .npy.")],
    like: Annotated[
        Path | None, typer.Option(help="For a .npy: a mask of the same model, whose metadata to take.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Write a mask in another form: packed bits, entropy-coded, or as the reference code has it.

    Example: espalier convert mask.safetensors -o mask.espalier
    """
    from pruning.errors import PruningError
    from pruning.formats.convert import convert as write

    try:
        path = write(mask, output, like=like)
    except PruningError as error:
        fail(f"{error.message} ({error.code})", code=2 if error.code == "mask_form" else 1)
    size = path.stat().st_size
    if as_json:
        print(json.dumps({"path": str(path), "bytes": size}))
    say(f"written: {path} ({size} bytes)")
