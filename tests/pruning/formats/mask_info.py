"""Metadata of a mask in tests of its file formats."""

from typing import Any

from pruning.formats.mask_file import MaskInfo, Masks
from pruning.spec.schema import PruningSpec


def info_of(masks: Masks, **changed: Any) -> MaskInfo:
    """Of these masks, with values ``changed``; a label word has a letter that is not in ASCII."""
    values: dict[str, Any] = {
        "base_model": "org/base",
        "base_revision": "c" * 40,
        "base_digest": "0" * 64,
        "task": "sst2",
        "kind": "classification",
        "head": "label-words",
        "label_words": ("terrible", "großartig"),
        "label_ids": (7, 9),
        "max_length": 128,
        "shapes": {name: mask.shape for name, mask in masks.items()},
        "kept": {name: int(mask.sum()) for name, mask in masks.items()},
        "metrics": {"accuracy": 0.1 + 0.2},
        "spec": PruningSpec(model="org/base", task="sst2"),
        "versions": {"torch": "2"},
    }
    return MaskInfo(**{**values, **changed})
