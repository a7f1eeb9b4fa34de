"""``espalier convert`` and ``espalier apply``: conversion of a downloaded mask to another format, and its application to its model,
without a service."""

import json
from pathlib import Path
from typing import Annotated

import typer

from espalier.cli.options import AsJson, BaseModelFolder, ModelsDir
from espalier.cli.output import fail, notify, require_output


def convert(
    mask: Annotated[Path, typer.Argument(help="mask.safetensors, mask.espalier or the reference code's .npy.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Ends in .safetensors, .espalier or .npy.")],
    like: Annotated[Path | None, typer.Option(help="For a .npy: a mask of the same model, whose metadata to take.")] = None,
    as_json: AsJson = False,
) -> None:
    """Convert a mask to another format: packed bits, entropy-coded, or that of the reference code.

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
    notify(f"written: {path} ({size} bytes)")


def apply(
    mask: Annotated[Path, typer.Argument(help="mask.safetensors or mask.espalier of a finished job.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to create; must be new or empty.")],
    model: BaseModelFolder = None,
    models_dir: ModelsDir = None,
    as_json: AsJson = False,
) -> None:
    """Write the masked model as a folder that plain transformers loads, with a model card. Needs the train extra.

    Example: espalier apply mask.safetensors -o sst2-pruned
    """
    require_output(output)
    from pruning.errors import PruningError
    from pruning.export.huggingface import write_folder
    from pruning.sources import Sources

    try:
        stock = write_folder(mask, output, model=model, sources=Sources(models_dir=models_dir))
    except PruningError as error:
        fail(f"{error.message} ({error.code})", code=1)
    size = sum(file.stat().st_size for file in output.iterdir())
    if as_json:
        about = {"class": stock.class_name, "pipeline": stock.is_pipeline, "reason": stock.reason}
        print(json.dumps({"folder": str(output), "bytes": size, **about}))
    notify(f"written: {output} ({size} bytes, dense: zeros are stored too), {stock.class_name}")
    if stock.reason is not None:
        notify(f"not for pipelines: {stock.reason}; README.md in the folder says how to read its logits")
