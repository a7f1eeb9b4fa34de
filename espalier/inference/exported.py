"""``load_export``: from an export to a model that predicts. Needs the ``train`` extra, ONNX the ``onnx`` extra."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pruning.inference.pruned_model import PrunedModel


def load_export(folder: str | Path) -> "PrunedModel":
    """A ready model: ``load_export("export-compact.zip").predict(["a film to remember"])``.

    ``folder`` is what ``espalier export`` wrote, or an ``export-<format>.zip`` of a job; not of format ``stock``, which
    transformers loads itself. Needs neither the mask nor its base model. Raises pruning.errors.PermanentError; ImportError
    without the extra.
    """
    try:
        from pruning.export import load
    except ImportError as missing:
        raise ImportError(
            f"load_export needs {missing.name}, which the client alone does not install: pip install 'espalier[train]'"
        ) from missing
    return load.load_export(folder)
