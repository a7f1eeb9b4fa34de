"""Mask applied to its base model: file and base are read, checked against each other, and put together.

Called by :mod:`pruning.inference.pruned_model`, :mod:`pruning.inference.mask_bank` and :mod:`pruning.export`.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from pruning.errors import PermanentError
from pruning.files import file_sha256
from pruning.formats import compact_file, mask_file, trained_weights
from pruning.hub.models import ModelFolder
from pruning.masking.wrap import prunable_linears
from pruning.models.heads import WORD_HEADS, create_head
from pruning.models.loading import LoadedModel, Readout, load_model, locate_model, weights_digest
from pruning.models.logit_calibration import calibration_of
from pruning.sources import Sources


def load_masked_base(
    mask: str | Path, *, model: str | Path | None = None, sources: Sources | None = None, weights: str | Path | None = None
) -> tuple[LoadedModel, mask_file.MaskInfo]:
    """Read a mask, find its base model, check that the weights are the ones it was trained for, apply it.

    ``model`` is the base model's folder; without it the base is looked up by the name and commit in the mask, in
    ``sources`` (default: the hub). ``weights`` is the file of a method that trained weights, by default
    ``weights.safetensors`` in the mask's folder. Raises PermanentError (``mask_invalid``, ``base_mismatch``, ``weights_missing``,
    …) or TemporaryError.
    """
    path = Path(mask)
    masks, info = compact_file.read_either(path)
    loaded = load_dense_base(info, model=model, sources=sources)
    apply_masks(loaded.model, masks)
    if info.weights_sha256 is not None:
        file = find_trained_weights(path, info, weights)
        tensors = {name: torch.from_numpy(mask) for name, mask in masks.items()}
        loaded = apply_trained(trained_weights.read(file), loaded, tensors, info, file.name)
    return loaded, info


def load_dense_base(info: mask_file.MaskInfo, *, model: str | Path | None = None, sources: Sources | None = None) -> LoadedModel:
    """The base model of a mask, without the mask. The arguments and what is raised are those of :func:`load_masked_base`."""
    folder = None if model is None else Path(model)
    located = (
        locate_model(info.base_model, info.base_revision, sources or Sources()) if folder is None else ModelFolder(folder, None)
    )
    loaded = load_base(located, info)
    require_same_base(weights_digest(loaded.model, loaded.new_parameters), loaded.folder.path.name, info)
    return loaded


def load_base(folder: ModelFolder, info: mask_file.MaskInfo) -> LoadedModel:
    """The dense model of a folder, with the classes and words of a mask. Raises PermanentError as :func:`load_model` does."""
    return load_model(folder, info.label_words, info.head, pieces=info.spec.label_word_pieces, classes=info.classes)


def apply_trained(
    stored: Mapping[str, torch.Tensor],
    loaded: LoadedModel,
    masks: Mapping[str, torch.Tensor],
    info: mask_file.MaskInfo,
    name_of_file: str,
) -> LoadedModel:
    """Load what a run trained in addition to its mask into the model, in place, the trained read-out included.

    Raises PermanentError (``weights_invalid``) if it is of another mask or model.
    """
    readout = _readout(stored, loaded, info, name_of_file)
    trained_weights.load_into(stored, loaded.model, masks, name_of_file)
    return replace(loaded, readout=readout)


def _readout(
    stored: Mapping[str, torch.Tensor], loaded: LoadedModel, info: mask_file.MaskInfo, name_of_file: str
) -> Readout | None:
    weight, bias = stored.get(trained_weights.READOUT_WEIGHT), stored.get(trained_weights.READOUT_BIAS)
    if weight is None and bias is None:
        return None
    if weight is None or info.head not in WORD_HEADS:
        raise trained_weights.foreign(name_of_file, "a read-out is rows of label words, and biases alone are not one")
    embedding: torch.nn.Linear = loaded.model.get_output_embeddings()
    classes = len(info.label_ids)
    shapes = (weight.shape, None if bias is None else bias.shape)
    expected = (classes, embedding.in_features), None if embedding.bias is None else (classes,)
    if shapes != expected or weight.dtype != torch.float32 or (bias is not None and bias.dtype != torch.float32):
        raise trained_weights.foreign(name_of_file, f"the read-out is {shapes} of {weight.dtype} in place of {expected}")
    return Readout(weight, bias)


def head_family(head: str) -> str:
    """Heads that one loaded base serves: ``words`` of the language model, or one per classifier."""
    return "words" if head in WORD_HEADS else head


def create_mask_head(loaded: LoadedModel, info: mask_file.MaskInfo) -> torch.nn.Module:
    """The head that a mask was trained with, on its model, which is changed in place."""
    return create_head(
        loaded,
        list(info.label_ids),
        list(info.columns),
        info.head,
        calibration_of(info.logit_scale, info.logit_offsets),
        info.pooling,
    )


@torch.no_grad()
def apply_masks(model: torch.nn.Module, masks: mask_file.Masks) -> None:
    """Zero every weight outside its mask, in place. Raises PermanentError if the matrices are not the model's."""
    linears = prunable_linears(model)
    require_same_matrices(linears, {path: mask.shape for path, mask in masks.items()})
    for path, mask in masks.items():
        linears[path].weight.mul_(torch.from_numpy(mask).to(linears[path].weight.device))


def require_same_matrices(linears: Mapping[str, torch.nn.Linear], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse masks of other matrices than ``linears``. Raises PermanentError (``base_mismatch``)."""
    if {path: tuple(linear.weight.shape) for path, linear in linears.items()} != dict(shapes):
        raise PermanentError(
            "the mask's matrices are not those of this model; give the base model the mask was trained for",
            code="base_mismatch",
            param="model",
        )


def require_same_base(found: str, name: str, info: mask_file.MaskInfo) -> None:
    """Refuse a mask for other weights than those of the base ``name``, whose digest is ``found``. Raises PermanentError."""
    if found != info.base_digest:
        raise PermanentError(
            f"the weights of {name!r} are not those the mask was trained for "
            f"({info.base_model}, sha-256 {info.base_digest[:12]}..., found {found[:12]}...); give the same base model",
            code="base_mismatch",
            param="model",
        )


def find_trained_weights(mask: Path, info: mask_file.MaskInfo, given: str | Path | None) -> Path:
    """The file of the weights that a method trained in addition to its mask; its digest must be the one in the mask.

    Raises PermanentError (``weights_missing``, ``weights_invalid``).
    """
    path = Path(given) if given is not None else mask.parent / trained_weights.WEIGHTS
    if not path.is_file():
        raise PermanentError(
            f"method {info.spec.method} trained more than the mask; download {trained_weights.WEIGHTS} of the job "
            "into the same folder, or name it by weights=",
            code="weights_missing",
            param="mask",
        )
    if file_sha256(path) != info.weights_sha256:
        raise PermanentError(
            f"{path.name} does not belong to this mask; download both from the same job", code="weights_invalid", param="mask"
        )
    return path
