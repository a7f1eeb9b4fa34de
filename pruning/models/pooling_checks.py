"""Pooling that a model folder allows and declares: checks of the spec's ``pooling`` without torch.

Called by the API at submission and by :mod:`pruning.training.inputs`; :mod:`pruning.models.pooling` does the pooling.
"""

import json
import re
from pathlib import Path
from typing import Any, Literal

from pruning.errors import PermanentError
from pruning.models.checks import MODEL_TYPES, has_trained_classifier, read_model_type
from pruning.spec.export_formats import POOLING_TYPES

Pooling = Literal["first", "mean"]
CONFIGURED = POOLING_TYPES
"""Model types whose class has the pooling, as ``classifier_pooling`` of the configuration says."""
_FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def check_pooling(path: Path, pooling: Pooling | None) -> None:
    """Refuse a pooling that the model in a folder cannot have, or that its trained classifier was not trained with.

    Call :func:`pruning.models.checks.check_model_folder` first. Raises PermanentError (``pooling_unsupported``).
    """
    if pooling is None:
        return
    if MODEL_TYPES[read_model_type(path)].decoder_only:
        raise _unsupported(
            "the model is decoder-only, and its classifier reads the last token, the only one that has seen the whole text; leave "
            "pooling out"
        )
    own = own_pooling(path)
    if pooling != own and has_trained_classifier(path):
        raise _unsupported(
            f"the checkpoint's classifier was trained with pooling {own}; leave pooling out, or take a checkpoint without a "
            "classifier"
        )


def own_pooling(path: Path) -> Pooling:
    """What transformers' class of an encoder in a folder reads."""
    configured = read_model_type(path) in CONFIGURED and _json(path / "config.json").get("classifier_pooling") == "mean"
    return "mean" if configured else "first"


def declares_mean(path: Path) -> bool:
    """Whether the folder is one of sentence-transformers whose sentence vectors are means over tokens.

    Only a message depends on it: files that cannot be read declare nothing.
    """
    try:
        modules = json.loads((path / "modules.json").read_text("utf-8"))
        folders = [str(one["path"]) for one in modules if str(one["type"]).endswith("Pooling")]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return any(
        _json(path / folder / "config.json").get("pooling_mode_mean_tokens") is True
        for folder in folders
        if _FOLDER.fullmatch(folder)
    )


def _json(file: Path) -> dict[str, Any]:
    """The object in a file; empty where there is none."""
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _unsupported(reason: str) -> PermanentError:
    return PermanentError(reason, code="pooling_unsupported", param="pooling")
