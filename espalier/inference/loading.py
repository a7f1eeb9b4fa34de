"""``load_pruned`` and ``load_export``: from a downloaded mask or export to a model that predicts."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from espalier.extras import explain

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
    that train weights (default: ``weights.safetensors`` in the mask's folder). Raises pruning.errors.PermanentError or
    TemporaryError; ImportError without the extra.
    """
    try:
        from pruning.inference import pruned_model
        from pruning.sources import Sources
    except ImportError as missing:
        raise import_error("load_pruned", missing) from missing
    return pruned_model.load_pruned(mask, model=model, sources=Sources(models_folder(models_dir)), weights=weights)


def load_export(folder: str | Path) -> "PrunedModel":
    """A ready model: ``load_export("export-compact.zip").predict(["a film to remember"])``.

    ``folder`` is what ``espalier export`` wrote, or an ``export-<format>.zip`` of a job; not of format ``stock``, which
    transformers loads itself. Needs neither the mask nor its base model; ONNX needs the ``onnx`` extra. Raises
    pruning.errors.PermanentError; ImportError without the extra.
    """
    try:
        from pruning.export import load
    except ImportError as missing:
        raise import_error("load_export", missing) from missing
    return load.load_export(folder)


def models_folder(given: str | Path | None) -> Path | None:
    """The folder of local models: the one given, or that of the environment, if any."""
    folder = given if given is not None else os.environ.get("ESPALIER_MODELS_DIR")
    return Path(folder) if folder else None


def import_error(name: str, missing: ImportError) -> ImportError:
    """Remedy when ``name`` cannot be imported: install the extra, or rename another package called ``pruning``."""
    if (missing.name or "").partition(".")[0] == "pruning":
        return ImportError(f"{name} finds another package named pruning before Espalier's; rename it, or start elsewhere")
    remedy = explain(missing)
    return missing if remedy is None else ImportError(f"{name} {remedy}", name=missing.name)
