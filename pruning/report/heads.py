"""Density of each attention head, from the masks' shapes and the configuration's number of heads.

Rows of a query, key or value matrix and columns of the output projection belong to heads in equal blocks. What a matrix is
for shows in the last part of its path, which transformers' encoders name in a few ways. With grouped keys and values each
head counts the ones it shares. Called by :mod:`pruning.report.collect`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.bool_]
ROLES: dict[str, tuple[str, ...]] = {
    "query": ("query", "query_proj", "q_lin", "q_proj", "q"),
    "key": ("key", "key_proj", "k_lin", "k_proj", "k"),
    "value": ("value", "value_proj", "v_lin", "v_proj", "v"),
    "output": ("dense", "out_lin", "out_proj", "o_proj", "o", "Wo"),
    "fused": ("Wqkv",),
}
"""Role → last parts of module paths inside an attention module; fused: query, key and value stacked."""
_ROLE_OF = {name: role for role, names in ROLES.items() for name in names}
PARTS = ("query", "key", "value", "output")


@dataclass(frozen=True)
class Head:
    """One head of one layer; densities are shares of its weights that are kept."""

    layer: str
    head: int
    density: float
    parts: dict[str, float]
    """Density of its block of each of PARTS."""


def layer_of(path: str) -> str:
    """The numbers in a module path: ``encoder.layer.3.attention`` is of layer ``3``."""
    return ".".join(part for part in path.split(".") if part.isdigit())


def head_densities(masks: Mapping[str, Bits], heads: int, key_value_heads: int | None = None) -> list[Head]:
    """Every head of every layer whose four matrices are known, in the order of the masks; empty where none is.

    ``masks``: module path → bool [out, in]. ``key_value_heads`` (default ``heads``) is smaller for grouped attention.
    """
    shared = key_value_heads or heads
    if heads < 1 or heads % shared:
        return []
    layers: dict[str, dict[str, Bits]] = {}
    for path, mask in masks.items():
        for role, bits in _roles(path, mask):
            layers.setdefault(layer_of(path), {})[role] = bits
    found = []
    for layer, parts in layers.items():
        blocks = _blocks(parts, heads, shared)
        if blocks is not None:
            found += [_head(layer, number, blocks, heads // shared) for number in range(heads)]
    return found


def _roles(path: str, mask: Bits) -> list[tuple[str, Bits]]:
    """What a matrix holds of PARTS."""
    *before, last = path.split(".")
    role = _ROLE_OF.get(last)
    if role is None or not any("att" in part for part in before):
        return []
    if role != "fused":
        return [(role, mask)]
    if mask.shape[0] % 3:
        return []
    return list(zip(PARTS, np.split(mask, 3), strict=False))


def _blocks(parts: Mapping[str, Bits], heads: int, shared: int) -> dict[str, list[Bits]] | None:
    """The blocks of a layer by part; None where a part is missing or cannot be divided."""
    if set(PARTS) - parts.keys():
        return None
    blocks = {}
    for name in PARTS:
        count, axis = (shared if name in ("key", "value") else heads), int(name == "output")
        if parts[name].shape[axis] % count:
            return None
        blocks[name] = np.split(parts[name], count, axis=axis)
    return blocks


def _head(layer: str, number: int, blocks: Mapping[str, list[Bits]], group: int) -> Head:
    mine = {name: blocks[name][number // group if name in ("key", "value") else number] for name in PARTS}
    kept = sum(int(bits.sum()) for bits in mine.values())
    size = sum(bits.size for bits in mine.values())
    return Head(layer, number, kept / size, {name: float(bits.mean()) for name, bits in mine.items()})
