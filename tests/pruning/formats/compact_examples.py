"""Compact masks to test with: one of every codec, what the file says of them, and how a bad one is refused."""

import json
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pruning.errors import PermanentError
from pruning.formats import compact_file
from pruning.formats.mask_file import Masks
from tests.pruning.formats.mask_info import info_of

DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "mask-format.md"
SHAPES = {"a.0.query": (96, 80), "a.10.key": (1, 1), "a.2.key": (37, 50), "b.0": (1, 7), "b.1": (12, 30), "b.2": (64, 90)}


def masks_of() -> Masks:
    """Every codec: uneven, a single bit, zeros, ones, noise, and rows alone."""
    random = np.random.default_rng(0)
    noise = {name: random.random(shape) for name, shape in SHAPES.items()}
    shares: dict[str, Any] = {
        "a.0.query": 2 * random.random((96, 1)) ** 3 * random.random(80),
        "a.10.key": 0.5,
        "a.2.key": 0.02,
        "b.0": 0.0,
        "b.1": 1.5,
        "b.2": random.random((64, 1)) ** 6,
    }
    return {name: noise[name] < shares[name] for name in SHAPES}


def written(folder: Path) -> Path:
    """A file with those masks."""
    masks = masks_of()
    compact_file.write(folder / "mask.espalier", masks, info_of(masks))
    return folder / "mask.espalier"


def refusal(path: Path) -> str:
    """In which words the reader refuses the file; it has to."""
    with pytest.raises(PermanentError) as caught:
        compact_file.read(path)
    assert (caught.value.code, caught.value.param) == ("mask_invalid", "mask")
    return caught.value.message


def same(got: Masks, masks: Masks) -> bool:
    return got.keys() == masks.keys() and all(np.array_equal(got[name], mask) for name, mask in masks.items())


def head(metadata: dict[str, Any] | bytes, *, version: int = 1, magic: bytes = compact_file.MAGIC) -> bytes:
    text = metadata if isinstance(metadata, bytes) else json.dumps(metadata).encode()
    return magic + struct.pack("<II", version, len(text)) + text


def metadata_of(**changed: Any) -> dict[str, Any]:
    return {**info_of(masks_of()).model_dump(mode="json"), **changed}


def example() -> bytes:
    return bytes.fromhex(re.findall(r"```hex\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)[0])
