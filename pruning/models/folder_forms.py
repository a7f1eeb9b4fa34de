"""Folders that look like models and are none that can be pruned: adapters, quantized weights, sentence-transformers' own form.

Called by :mod:`pruning.models.checks`, first, so that the answer is what to do and not which file is missing. Torch-free.
"""

from pathlib import Path
from typing import Any

from pruning.errors import PermanentError


def check_folder_form(path: Path) -> None:
    """Refuse a folder of another form. Raises PermanentError (``model_adapter``, ``model_config_missing``, ``model_quantized``)."""
    bare = not (path / "config.json").is_file()
    if (path / "adapter_config.json").is_file() and (bare or not any(path.glob("model*.safetensors"))):
        raise _error(
            "model_adapter",
            f"model {path.name!r} is a PEFT adapter, which has no weights of its own; merge it into its base and use the result: "
            "AutoPeftModel.from_pretrained(folder).merge_and_unload().save_pretrained(other_folder)",
        )
    inner = sorted(folder.name for folder in path.glob("*_Transformer") if (folder / "config.json").is_file())
    if bare and inner:
        raise _error(
            "model_config_missing",
            f"model {path.name!r} is a folder of sentence-transformers, whose model is in {inner[0]}; "
            f"use {path.name}/{inner[0]}, or copy that folder's files up",
        )
    for name, kind in (("quantize_config.json", "GPTQ"), ("quant_config.json", "AWQ")):
        if (path / name).is_file():
            raise _quantized(path.name, f"{kind} ({name})")


def require_unquantized(config: dict[str, Any], name: str) -> None:
    """Refuse weights that a configuration calls quantized. Raises PermanentError (``model_quantized``)."""
    about = config.get("quantization_config") or config.get("compression_config")
    if about:
        method = about.get("quant_method", "an unnamed method") if isinstance(about, dict) else about
        raise _quantized(name, str(method))


def _quantized(name: str, method: str) -> PermanentError:
    return _error(
        "model_quantized",
        f"the weights of model {name!r} are quantized by {method}, and masks are for weights in full; use the original model, or "
        "store it dequantized: model.dequantize().save_pretrained(folder)",
    )


def _error(code: str, message: str) -> PermanentError:
    return PermanentError(message, code=code, param="model")
