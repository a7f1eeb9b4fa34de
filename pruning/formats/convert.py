"""Conversion between the forms of a mask: ``mask.safetensors``, ``mask.espalier``, and the reference code's ``.npy``.

Called by ``espalier masks convert``. Torch-free.
"""

from pathlib import Path

from pruning.errors import PermanentError
from pruning.formats import compact_file, mask_file, npy_masks
from pruning.formats.mask_file import MaskInfo, Masks

SUFFIXES = (".safetensors", ".espalier", ".npy")


def convert(source: Path, target: Path, *, like: Path | None = None) -> Path:
    """Write the mask in ``source`` to ``target``, in the form its name ends in.

    A ``.npy`` file has no metadata: as a source it needs ``like``, a mask of the same model, whose metadata it takes
    except for the metrics. Raises PermanentError (``mask_invalid``, ``mask_form``).
    """
    if target.suffix not in SUFFIXES:
        raise PermanentError(
            f"{target.name} ends in no form of a mask; let it end in {', '.join(SUFFIXES)}", code="mask_form", param="output"
        )
    masks, info = _read(source, like)
    if target.suffix == ".npy":
        npy_masks.write(target, masks)
    elif target.suffix == ".espalier":
        compact_file.write(target, masks, info)
    else:
        mask_file.write(target, masks, info)
    return target


def _read(source: Path, like: Path | None) -> tuple[Masks, MaskInfo]:
    if source.suffix != ".npy":
        return compact_file.read_either(source)
    if like is None:
        raise PermanentError(
            f"{source.name} has no shapes and no metadata; name a mask of the same model by like", code="mask_form", param="like"
        )
    _, info = compact_file.read_either(like)
    masks = npy_masks.read(source, info.shapes)
    kept = {name: int(mask.sum()) for name, mask in masks.items()}
    return masks, info.model_copy(update={"kept": kept, "metrics": {}, "weights_sha256": None})
