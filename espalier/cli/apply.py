"""``espalier apply``: from a downloaded mask to a stock Hugging Face folder, without any service."""

import json
from pathlib import Path
from typing import Annotated

import typer

from espalier.cli import options
from espalier.cli.output import fail, say

ModelsDir = Annotated[
    Path | None, typer.Option(envvar="ESPALIER_MODELS_DIR", help="Folder of local models, looked at before the hub.")
]


def apply(
    mask: Annotated[Path, typer.Argument(help="mask.safetensors or mask.espalier of a finished job.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to make; must not exist yet.")],
    model: Annotated[
        Path | None, typer.Option(help="Folder of the base model; default: by the mask's own word.")
    ] = None,
    models_dir: ModelsDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Write the masked model as a folder that plain transformers loads, with a model card. Needs the train extra.

    Example: espalier apply mask.safetensors -o sst2-pruned
    """
    try:
        from pruning.export.huggingface import write_folder
    except ImportError as missing:
        fail(f"apply needs {missing.name}: pip install 'espalier[train]'", code=2)
    from pruning.errors import PruningError
    from pruning.sources import Sources

    try:
        folder = write_folder(mask, output, model=model, sources=Sources(models_dir=models_dir))
    except FileExistsError:
        fail(f"{output} exists already; name a folder that does not", code=2)
    except PruningError as error:
        fail(f"{error.message} ({error.code})", code=1)
    size = sum(file.stat().st_size for file in folder.iterdir())
    if as_json:
        print(json.dumps({"folder": str(folder), "bytes": size}))
    say(f"written: {folder} ({size} bytes, dense: zeros take room too)")
