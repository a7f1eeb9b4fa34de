"""``.npy`` mask files of the reference code (kongds/SMP): one array of packed bits without metadata.

One-dimensional uint8: all masks, each flattened row-major, concatenated without gaps, packed eight to a byte, most significant
bit first. They lie in the order of their names as text, so layer 10 comes before layer 2. The file has no shapes, so a reader
must know the model; a file of another model with as many weights cannot be recognised. Called by
:mod:`pruning.formats.convert`.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pruning.files import atomic_write
from pruning.formats.codec.rans import CorruptFileError
from pruning.formats.mask_file import Masks, mask_error
from pruning.masking.bits import has_ones_after, pack_msb_first, packed_size, unpack_msb_first

_SUFFIX = ".mask_scores"
"""What the reference appends to the path of a module in the names it sorts."""
_PREAMBLE = re.compile(rb"\x93NUMPY\x01\x00(..)", re.DOTALL)
_HEADER = re.compile(rb"\{'descr': '[|<>]u1', 'fortran_order': (?:False|True), 'shape': \((\d{1,12}),\), \}\s*\n")
_MAX_HEADER = 1024


def read(path: Path, shapes: Mapping[str, tuple[int, int]]) -> Masks:
    """Masks by module path, from a file of the reference and the shapes of the model it was made for.

    Raises PermanentError (``mask_invalid``) if it is not such a file or holds another number of bits.
    """
    names = _in_file_order(shapes)
    total = sum(rows * columns for rows, columns in shapes.values())
    try:
        packed = _read_packed(path, packed_size(total))
    except (CorruptFileError, OSError) as fault:
        raise mask_error(path, str(fault)) from fault
    if has_ones_after(packed, total):
        raise mask_error(path, "there are ones behind the last weight")
    bits = unpack_msb_first(packed, total)
    masks, taken = {}, 0
    for name in names:
        rows, columns = shapes[name]
        masks[name] = bits[taken : taken + rows * columns].reshape(rows, columns)
        taken += rows * columns
    return masks


def write(path: Path, masks: Mapping[str, npt.NDArray[np.bool_]]) -> None:
    """Write masks (bool [out, in], by module path) as the reference does, complete or not at all. Raises OSError."""
    packed = pack_msb_first(np.concatenate([masks[name].reshape(-1) for name in _in_file_order(masks)]))
    with atomic_write(path) as unfinished, unfinished.open("wb") as file:
        np.save(file, packed)


def _in_file_order(names: Mapping[str, object]) -> list[str]:
    return sorted(names, key=lambda name: name + _SUFFIX)


def _read_packed(path: Path, wanted: int) -> npt.NDArray[np.uint8]:
    """The array of ``wanted`` bytes. Its header is matched, not evaluated as numpy does, and its length is checked first."""
    with path.open("rb") as file:
        preamble = _PREAMBLE.fullmatch(file.read(10))
        size = int.from_bytes(preamble[1], "little") if preamble else _MAX_HEADER + 1
        header = _HEADER.fullmatch(file.read(size)) if size <= _MAX_HEADER else None
        if header is None:
            raise CorruptFileError("it is not a .npy file of bytes in one dimension")
        if int(header[1]) != wanted:
            raise CorruptFileError(f"it holds {int(header[1])} bytes, and the masks of this model take {wanted}")
        if os.fstat(file.fileno()).st_size != 10 + size + wanted:
            raise CorruptFileError("it is cut short, or longer than its header says")
        return np.frombuffer(file.read(wanted), np.uint8)
