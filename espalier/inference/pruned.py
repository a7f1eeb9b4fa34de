"""``load_pruned``: from a downloaded mask to a model that predicts. Needs the ``train`` extra (torch, transformers)."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pruning.inference.pruned_model import PrunedModel


def load_pruned(
    mask: str | Path = "mask.safetensors",
    *,
    model: str | Path | None = None,
    models_dir: str | Path | None = None,
    weights: str | Path | None = None,
) -> "PrunedModel":
    """A ready model: ``load_pruned("mask.safetensors").predict(["a film to remember"])``.

    The base model is found by the name and commit in the mask, under ``models_dir`` (default: ``ESPALIER_MODELS_DIR``) or
    on the hub, or given as a folder by ``model``; a base with other weights is refused. ``weights`` is only for methods
    that train weights (default: ``weights.safetensors`` beside the mask). Raises pruning.errors.PermanentError or TemporaryError;
    ImportError without the extra.
    """
    try:
        from pruning.inference import pruned_model
    except ImportError as missing:
        raise ImportError(
            f"load_pruned needs {missing.name}, which the client alone does not install: pip install 'espalier[train]'"
        ) from missing
    from pruning.sources import Sources

    given = models_dir if models_dir is not None else os.environ.get("ESPALIER_MODELS_DIR")
    directory = Path(given) if given else None
    return pruned_model.load_pruned(mask, model=model, sources=Sources(models_dir=directory), weights=weights)
