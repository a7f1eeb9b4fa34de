"""Model folders that cannot be pruned: adapters, quantized weights, sentence-transformers' layout.

Recognised by the names of the files and by ``config.json`` alone, so that a model on the hub is refused before its weights are
downloaded. Called by :mod:`pruning.models.checks`, first, so that the message names the remedy and not a missing file.
Torch-free.
"""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pruning.errors import PermanentError

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt", ".h5", ".msgpack")


def file_names(path: Path) -> set[str]:
    """Names of a folder's files, and of those in its folders, with a slash."""
    inner = {f"{file.parent.name}/{file.name}" for file in path.glob("*_Transformer/*") if file.is_file()}
    return inner | {file.name for file in path.iterdir() if file.is_file()}


def check_form(files: Collection[str], name: str) -> None:
    """Refuse a model with files of another form.

    Raises PermanentError (``model_adapter``, ``model_config_missing``, ``model_quantized``).
    """
    bare = "config.json" not in files
    if "adapter_config.json" in files and (bare or not any(_is_weights(file) for file in files)):
        raise _error(
            "model_adapter",
            f"model {name!r} is a PEFT adapter, which has no weights of its own; merge it into its base and use the result: "
            "AutoPeftModel.from_pretrained(folder).merge_and_unload().save_pretrained(other_folder)",
        )
    inner = sorted(file.partition("/")[0] for file in files if re.fullmatch("[^/]*_Transformer/config.json", file))
    if bare and inner:
        raise _error(
            "model_config_missing",
            f"model {name!r} is a folder of sentence-transformers, whose model is in {inner[0]}; "
            f"use {name}/{inner[0]}, or copy that folder's files up",
        )
    for file, kind in (("quantize_config.json", "GPTQ"), ("quant_config.json", "AWQ")):
        if file in files:
            raise _quantized(name, f"{kind} ({file})")


def require_unquantized(config: dict[str, Any], name: str) -> None:
    """Refuse weights that a configuration calls quantized. Raises PermanentError (``model_quantized``)."""
    about = config.get("quantization_config") or config.get("compression_config")
    if about:
        method = about.get("quant_method", "an unnamed method") if isinstance(about, dict) else about
        raise _quantized(name, str(method))


def require_weights(files: Collection[str], name: str) -> None:
    """Refuse a model without weights in a format that is read. Raises PermanentError (``model_weights_missing``)."""
    if WEIGHTS in files or INDEX in files:
        return
    pickled = sorted(file for file in files if "/" not in file and file.endswith(_PICKLES))
    others = sorted(file for file in files if "/" not in file and file.endswith(".safetensors"))
    if pickled:
        remedy = (
            f"has {pickled[0]}, which could run code when loaded, and no {WEIGHTS}; load it once where "
            "you trust it and store it again: AutoModelForMaskedLM.from_pretrained(folder).save_pretrained(folder)"
        )
    elif others:
        remedy = f"has {others[0]} but neither {WEIGHTS} nor {INDEX}; rename it or add the index"
    else:
        remedy = f"has no {WEIGHTS}; put the model's weights there, in safetensors format"
    raise _error("model_weights_missing", f"model {name!r} {remedy}")


def _is_weights(file: str) -> bool:
    return "/" not in file and file.startswith("model") and file.endswith(".safetensors")


def _quantized(name: str, method: str) -> PermanentError:
    return _error(
        "model_quantized",
        f"the weights of model {name!r} are quantized by {method}, and masks are for weights in full; use the original model, or "
        "store it dequantized: model.dequantize().save_pretrained(folder)",
    )


def _error(code: str, message: str) -> PermanentError:
    return PermanentError(message, code=code, param="model")
