"""``mask.espalier``: masks and metadata of ``mask.safetensors``, entropy-coded for storage and transfer.

``docs/reference/mask-format.md`` is the specification, byte by byte. The reader refuses every deviation from it, checks every
length before it allocates, and compares a digest of the bytes it read and the bits it decoded. Torch-free.
"""

import hashlib
import json
import logging
import os
import struct
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt

from pruning.files import atomic_write
from pruning.formats import mask_file
from pruning.formats.codec import matrices
from pruning.formats.codec.frequency_tables import LEVELS, TOTAL
from pruning.formats.codec.matrices import CodedMasks, Shape
from pruning.formats.codec.planner import Codec
from pruning.formats.codec.rans import CorruptFileError, Stream
from pruning.formats.mask_file import MaskInfo, Masks, mask_error
from pruning.masking.bits import pack_msb_first, packed_size
from pruning.spec.schema import RECORD

MAGIC = b"\x89ESPM\r\n\x1a"
"""Magic bytes: neither text nor any known format; their line ends detect a transfer that changed line ends, as in PNG."""
MEDIA_TYPE = "application/vnd.espalier.mask"
MAX_METADATA = 1 << 22
MAX_MATRICES = 1 << 14
MAX_LINES = 1 << 24
MAX_WEIGHTS = 1 << 30
"""Rows and columns, and weights, of all matrices together; they bound what a reader may need."""
_STATE_BYTES = 5
log = logging.getLogger(__name__)
Result = TypeVar("Result")


def write(path: Path, masks: Mapping[str, npt.NDArray[np.bool_]], info: MaskInfo) -> None:
    """Write masks (bool [out, in], by module path) so that ``path`` is complete or absent. Raises OSError."""
    ordered = [np.ascontiguousarray(masks[name]) for name in sorted(masks)]
    metadata = json.dumps(info.model_dump(mode="json"), separators=(",", ":")).encode()
    coded = matrices.encode(ordered)
    with atomic_write(path) as unfinished, unfinished.open("wb") as target:
        file = _Sink(target)
        file.write(MAGIC + struct.pack("<II", 1, len(metadata)) + metadata)
        file.write(bytes(coded.codecs) + bytes(coded.bases))
        for frequencies in (coded.row_frequencies, coded.column_frequencies):
            file.write(_table_bytes(frequencies))
        for stream in (coded.marks, coded.bits):
            _write_stream(file, stream)
        for packed in coded.raw:
            file.write(packed.data)
        file.write(_with_bits(file.digest, ordered))


def read_info(path: Path) -> MaskInfo:
    """The metadata alone, without the bits and so without their digest. Raises PermanentError (``mask_invalid``)."""
    return _read(path, _metadata)


def read(path: Path) -> tuple[Masks, MaskInfo]:
    """Masks by module path, and their metadata. Raises PermanentError (``mask_invalid``) for anything but a whole mask."""
    return _read(path, _masks)


def is_compact(path: Path) -> bool:
    """Whether a file is of this form, by its first bytes. Raises PermanentError if there is no file."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError as fault:
        raise mask_error(path, f"it cannot be read ({fault})") from fault


def read_either(path: Path) -> tuple[Masks, MaskInfo]:
    """Masks and metadata from either form, recognised by content. Raises PermanentError (``mask_invalid``)."""
    masks, info = read(path) if is_compact(path) else mask_file.read(path)
    if not info.has_known_method:
        _note_unknown_method(info.spec.method)
    return masks, info


@cache
def _note_unknown_method(name: str) -> None:
    """Once in a process: a bank may have hundreds of such masks."""
    log.warning(
        "method %s, which made a mask, is not installed here; the mask is used all the same, no run can use the method", name
    )


class _Sink:
    """A file, and the digest of the bytes written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def write(self, content: bytes | memoryview) -> None:
        self._file.write(content)
        self.digest.update(content)


class _Source:
    """A file that is read strictly, never past its end; and the digest of the bytes read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.left = os.fstat(file.fileno()).st_size

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise CorruptFileError("it is cut short")
        self.left -= size
        taken = self._file.read(size)
        if len(taken) != size:
            raise CorruptFileError("it got shorter while it was read")
        self.digest.update(taken)
        return taken

    def numbers(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))


def _read(path: Path, parse: Callable[[_Source], Result]) -> Result:
    try:
        with path.open("rb") as file:
            return parse(_Source(file))
    except (CorruptFileError, OSError) as fault:
        raise mask_error(path, str(fault)) from fault


def _metadata(source: _Source) -> MaskInfo:
    if source.left < len(MAGIC) or source.take(len(MAGIC)) != MAGIC:
        raise CorruptFileError("it does not begin with the magic bytes")
    version, size = source.numbers("<II")
    if version != 1:
        raise CorruptFileError(f"it is of version {version}, and this reader supports version 1 only; update espalier")
    if size > MAX_METADATA:
        raise CorruptFileError(f"its metadata claim {size} bytes")
    text = source.take(size)
    try:
        info = MaskInfo.model_validate_json(text, context=RECORD)
    except ValueError as fault:
        raise CorruptFileError(f"its metadata cannot be read: {str(fault)[:500]}") from fault
    if info.shapes.keys() != info.kept.keys():
        raise CorruptFileError("its counts and its shapes are of different matrices")
    lines = sum(rows + columns for rows, columns in info.shapes.values())
    weights = sum(rows * columns for rows, columns in info.shapes.values())
    if len(info.shapes) > MAX_MATRICES or lines > MAX_LINES or weights > MAX_WEIGHTS:
        raise CorruptFileError("it claims more matrices, rows and columns, or weights than this format allows")
    return info


def _masks(source: _Source) -> tuple[Masks, MaskInfo]:
    info = _metadata(source)
    names = sorted(info.shapes)
    shapes = [info.shapes[name] for name in names]
    coded = _coded(source, shapes)
    before = source.digest.copy()
    digest = source.take(before.digest_size)
    if source.left:
        raise CorruptFileError(f"there are {source.left} bytes behind its end")
    masks = dict(zip(names, matrices.decode(coded, shapes), strict=True))
    for name, mask in masks.items():
        if np.count_nonzero(mask) != info.kept[name]:
            raise CorruptFileError(f"the ones of {name} are not the {info.kept[name]} of its metadata")
    if _with_bits(before, masks.values()) != digest:
        raise CorruptFileError("its digest is not that of its content")
    return masks, info


def _coded(source: _Source, shapes: list[Shape]) -> CodedMasks:
    numbers = source.take(len(shapes))
    if any(number > max(Codec) for number in numbers):
        raise CorruptFileError("a codec is unknown")
    codecs = [Codec(number) for number in numbers]
    bases = list(source.take(sum(codec.coded for codec in codecs)))
    if any(base >= LEVELS for base in bases):
        raise CorruptFileError("a level is out of range")
    row_frequencies, column_frequencies = _read_table(source), _read_table(source)
    marks, bits = _read_stream(source), _read_stream(source)
    sizes = [packed_size(rows * columns) for codec, (rows, columns) in zip(codecs, shapes, strict=True) if codec is Codec.RAW]
    raw = [np.frombuffer(source.take(size), np.uint8) for size in sizes]
    return CodedMasks(codecs, bases, row_frequencies, column_frequencies, marks, bits, raw)


def _table_bytes(frequencies: npt.NDArray[np.uint32]) -> bytes:
    used = [int(symbol) for symbol in np.flatnonzero(frequencies)]
    return struct.pack("<H", len(used)) + b"".join(struct.pack("<BH", symbol, frequencies[symbol]) for symbol in used)


def _read_table(source: _Source) -> npt.NDArray[np.uint32]:
    frequencies = np.zeros(256, np.uint32)
    (size,) = source.numbers("<H")
    last = -1
    for _ in range(size):
        symbol, frequency = source.numbers("<BH")
        if symbol <= last or not frequency:
            raise CorruptFileError("a table of marks is out of order")
        frequencies[symbol] = frequency
        last = symbol
    if frequencies.sum() not in (0, TOTAL):
        raise CorruptFileError("a table of marks does not add up")
    return frequencies


def _write_stream(file: _Sink, stream: Stream) -> None:
    file.write(struct.pack("<HI", len(stream.states), len(stream.words)))
    file.write(stream.states.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :_STATE_BYTES].tobytes())
    file.write(stream.words.astype("<u2").tobytes())


def _read_stream(source: _Source) -> Stream:
    lanes, words = source.numbers("<HI")
    states = np.zeros((lanes, 8), np.uint8)
    states[:, :_STATE_BYTES] = np.frombuffer(source.take(lanes * _STATE_BYTES), np.uint8).reshape(lanes, _STATE_BYTES)
    coded = np.frombuffer(source.take(2 * words), "<u2").astype(np.uint16)
    return Stream(states.view("<u8").reshape(-1).astype(np.uint64), coded)


def _with_bits(before: "hashlib._Hash", masks: Iterable[npt.NDArray[np.bool_]]) -> bytes:
    """The digest that ends a file: over every byte before it, against damage, and then over the decoded bits, against an
    error of the decoder."""
    for mask in masks:
        before.update(pack_msb_first(mask).data)
    return before.digest()
