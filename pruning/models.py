"""A spec's model and tokenizer, loaded by name; the only place that builds transformers models.

Local folders come first, then the hub. Safetensors only, never remote code: the model type is checked against a fixed
table (:mod:`pruning.folder`) before transformers sees the folder.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForMaskedLM, AutoTokenizer

from pruning.errors import Permanent
from pruning.folder import check_folder, find_folder, require_folder
from pruning.hub import Located, download_model
from pruning.sources import Sources


@dataclass(frozen=True)
class Loaded:
    """A base model, dense, in float32, in evaluation mode."""

    model: Any
    tokenizer: Any
    located: Located
    longest: int
    """Tokens the model can read at once."""


def locate(name: str, revision: str | None, sources: Sources) -> Located:
    """The folder of a model: under the models directory if it is there, else from the hub.

    Raises Permanent or Temporary; see :func:`pruning.hub.download_model`.
    """
    folder = find_folder(sources.models_dir, name)
    if folder is None and sources.hub:
        return download_model(name, revision)
    if folder is None:
        folder = require_folder(sources.models_dir, name)
    if revision is not None:
        raise Permanent(
            f"model {name!r} is a local folder, which has no revisions; leave revision out",
            code="revision_not_found", param="revision",
        )  # fmt: skip
    return Located(folder, None)


def load(located: Located, label_words: tuple[str, ...], head: str, *, dropout: float | None = None) -> Loaded:
    """Check a folder and load its masked language model and tokenizer.

    ``dropout`` replaces every dropout probability of the checkpoint's configuration. Raises Permanent naming the file or
    field at fault.
    """
    path = located.path
    check_folder(path, label_words, head)
    try:
        config = AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
        if dropout is not None:
            for key, value in config.to_dict().items():
                if "dropout" in key and isinstance(value, float):
                    setattr(config, key, dropout)
        model, report = AutoModelForMaskedLM.from_pretrained(
            path, config=config, dtype=torch.float32, use_safetensors=True, local_files_only=True, trust_remote_code=False,
            output_loading_info=True,
        )  # fmt: skip
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except Exception as fault:  # transformers raises what its readers raise; each means: these files do not load
        raise Permanent(
            f"model {path.name!r} does not load: {type(fault).__name__}: {fault}", code="model_invalid", param="model"
        ) from fault
    _complete(report, path)
    return Loaded(model.eval(), tokenizer, located, _longest(config, tokenizer))


def _complete(report: dict[str, Any], path: Path) -> None:
    """Refuse a checkpoint whose missing tensors transformers filled with random numbers."""
    missing = sorted(report["missing_keys"])
    mismatched = sorted(str(entry) for entry in report.get("mismatched_keys") or ())
    if missing or mismatched:
        named = ", ".join([*missing, *mismatched][:3])
        raise Permanent(
            f"the weights of model {path.name!r} are incomplete or of another shape: {named}; "
            "use a checkpoint that has them, pruning random weights is of no use",
            code="model_weights_incomplete", param="model",
        )  # fmt: skip


def _longest(config: Any, tokenizer: Any) -> int:
    positions = int(getattr(config, "max_position_embeddings", tokenizer.model_max_length))
    if config.model_type == "roberta":  # its positions start behind the padding id
        positions -= config.pad_token_id + 1
    return min(positions, int(tokenizer.model_max_length))


def digest(model: nn.Module) -> str:
    """sha-256 of a dense model's weights: name, shape and float32 bytes of each parameter, by name.

    Masks carry it, so that a mask is never put on other weights than those it was trained for. Compute it before
    anything is attached.
    """
    total = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        total.update(f"{name}{list(parameter.shape)}".encode())
        total.update(parameter.detach().to(torch.float32).contiguous().cpu().numpy().data)
    return total.hexdigest()


def checkpoint_bytes(path: Path) -> int:
    """Size of a model folder's weight files."""
    return sum(file.stat().st_size for file in path.glob("*.safetensors"))
