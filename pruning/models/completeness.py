"""Completeness of a loaded checkpoint: every tensor of the encoder came from the file, and none of them is all zeros or not finite.

transformers fills what a file lacks with random numbers and only warns. Called by :func:`pruning.models.loading.load_model`; faults
visible in the headers alone are refused earlier, by :mod:`pruning.models.checks`.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from pruning.errors import PermanentError
from pruning.models.checks import CLASSIFIERS

_LAYER = re.compile(r"\.\d+\.")
_REMEDY = "use a checkpoint that has them, pruning random weights is useless"


def require_complete(model: Any, report: dict[str, Any], path: Path, head: str, *, decoder: str, param: str) -> frozenset[str]:
    """Names of the tensors that were missing and filled with random numbers: those of a new head, never of the encoder.

    ``report`` is that of ``from_pretrained``; ``decoder`` names the output embedding in files, from which a tied input embedding is
    read where the file has that one alone. Raises PermanentError (``model_weights_incomplete``, ``model_weights_damaged``).
    """
    missing = set(report["missing_keys"])
    missing -= _read_tied_embedding(model, missing, path, decoder)
    mismatched = [str(entry) for entry in report.get("mismatched_keys") or ()]
    allowed = _head_tensors(model, missing) if head in ("classifier", "token-classifier", "teacher-span") else set()
    if any(name.startswith(CLASSIFIERS) and name not in missing for name, _ in model.named_parameters()):
        allowed = set()  # with a trained last layer the head is not new, and a part of it is lost
    broken = [*sorted(missing - allowed), *sorted(mismatched)]
    if broken:
        raise PermanentError(
            f"the weights of model {path.name!r} are incomplete or of another shape: {', '.join(broken[:3])}; {_REMEDY}",
            code="model_weights_incomplete",
            param=param,
        )
    _require_values(model, path, param)
    return frozenset(missing)


def _head_tensors(model: Any, names: Iterable[str]) -> set[str]:
    """Tensors outside the encoder. BERT's pooler counts as part of the head, which alone uses it, though it is stored inside."""
    prefix = f"{model.base_model_prefix}."
    return {name for name in names if not name.startswith(prefix) or name.startswith(f"{prefix}pooler")}


def _read_tied_embedding(model: Any, missing: set[str], path: Path, decoder: str) -> set[str]:
    """Fill a missing input embedding from the output embedding that is tied to it; the names filled."""
    table = model.get_input_embeddings().weight
    own = {name for name, parameter in model.named_parameters(remove_duplicate=False) if parameter is table}
    if not own & missing or not getattr(model.config, "tie_word_embeddings", False):
        return set()
    for file in sorted(path.glob("*.safetensors")):
        with safe_open(file, framework="pt") as weights:
            if decoder in weights.keys() and tuple(weights.get_slice(decoder).get_shape()) == tuple(table.shape):  # noqa: SIM118 - it is no mapping
                with torch.no_grad():
                    table.copy_(weights.get_tensor(decoder).to(table.dtype))
                return own
    return set()


def _require_values(model: Any, path: Path, param: str) -> None:
    """Refuse weights that no training made: not finite, or zero throughout the embedding or all layers."""
    infinite = [name for name, weight in model.named_parameters() if not bool(torch.isfinite(weight).all())]
    layers = [weight for name, weight in model.named_parameters() if weight.ndim > 1 and _LAYER.search(name)]
    if infinite:
        fault = f"{infinite[0]} has values that are not finite numbers"
    elif not model.get_input_embeddings().weight.any():
        fault = "the word embeddings are all zero"
    elif layers and not any(bool(weight.any()) for weight in layers):
        fault = "the matrices of the layers are all zero"
    else:
        return
    raise PermanentError(
        f"the weights of model {path.name!r} were never trained or are damaged: {fault}; store the checkpoint again",
        code="model_weights_damaged",
        param=param,
    )
