"""``mask.safetensors``: packed masks that any safetensors reader can open, with all metadata that is needed to use them.

Per masked matrix one uint8 tensor named by its module path: the row-major [out, in] mask, eight weights to a byte, most
significant bit first, zero bits at the end. Everything else is metadata (string to string; structured values as JSON). The
reader refuses every deviation from ``docs/reference/mask-format.md``. Torch-free.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, FieldSerializationInfo, PositiveInt, field_serializer, model_validator
from safetensors import SafetensorError, safe_open

from pruning.errors import PermanentError
from pruning.files import atomic_write
from pruning.masking.bits import has_ones_after, pack_msb_first, packed_size, unpack_msb_first
from pruning.spec.custom_task import TaskKind
from pruning.spec.methods import METHODS
from pruning.spec.schema import RECORD, PruningSpec
from pruning.spec.verbalizer import ClassTokens, ClassWords, first_words

FORMAT = "espalier-mask"
Masks = dict[str, npt.NDArray[np.bool_]]


class MaskInfo(BaseModel):
    """Metadata of a mask: base model, task, head, shapes, metrics and spec."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["espalier-mask"] = "espalier-mask"
    version: Literal[1] = 1
    base_model: str
    """Model name in the job's request."""
    base_revision: str | None = None
    """Commit on the hub; None for a local folder."""
    base_digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    """sha-256 of the base weights (:func:`pruning.models.loading.weights_digest`)."""
    task: str
    kind: TaskKind
    head: str
    label_words: tuple[ClassWords, ...]
    label_ids: tuple[ClassTokens, ...]
    """Tokens of the label words in the base model's vocabulary (:mod:`pruning.spec.verbalizer`), in class-id order; empty for a
    classifier head."""
    columns: tuple[int, ...] = ()
    """Output of a classifier head for each class."""
    logit_scale: float | None = None
    """Logit calibration of a label-words head: z' = scale · z + offset; None where the logits are the language model's own."""
    logit_offsets: tuple[float, ...] = ()
    """One for each class, with ``logit_scale``."""
    label_threshold: float | None = Field(None, ge=0, le=1)
    """Multilabel task: the probability from which a label is given, the best one on the validation rows."""
    no_answer_threshold: float | None = None
    """Span task whose rows may have no answer: the score difference above which the answer is "no answer", the best one for F1 on
    the validation rows."""
    weights_sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of ``weights.safetensors``, for methods that change more than masks; None where the base stays untouched."""
    template: str | None = None
    """Text around the texts of a row with the mask at which the label word is read (:mod:`pruning.spec.templates`); None where the
    row has its texts alone, and the word is read at the first token, or a decoder's at the last."""
    pooling: Literal["first", "mean"] | None = None
    """States that a classifier head reads: the first token's, or the mean over the tokens of the row; None: those that
    transformers' class of the model reads."""
    max_length: int
    shapes: dict[str, tuple[PositiveInt, PositiveInt]]
    """Module path → (out, in)."""
    kept: dict[str, int]
    """Module path → ones in its mask."""
    metrics: dict[str, float]
    """Final evaluation."""
    spec: PruningSpec
    versions: dict[str, str]

    @model_validator(mode="after")
    def _reads_as_the_spec_says(self) -> Self:
        if self.template != self.spec.template:
            raise ValueError("template is not the one of spec")
        if self.pooling != self.spec.pooling:
            raise ValueError("pooling is not the one of spec")
        return self

    @field_serializer("spec")
    def _spec_as_before(self, spec: PruningSpec, how: FieldSerializationInfo) -> dict[str, Any]:
        return spec.model_dump(mode=how.mode, exclude=spec.unsaid)

    @property
    def classes(self) -> int:
        """Logits of a row: one per class, one of a regression, two of a span."""
        return len(self.label_words) or self.spec.task_info.classes

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of every class id, or its first label word where the task names no classes."""
        return self.spec.task_info.labels or first_words(self.label_words)

    @property
    def has_known_method(self) -> bool:
        """Whether the method is installed here; a mask is read without it, and no run can use it."""
        return self.spec.method in METHODS

    @property
    def density(self) -> float:
        """Share of the masked weights that are kept."""
        return sum(self.kept.values()) / sum(rows * columns for rows, columns in self.shapes.values())


def write(path: Path, masks: Mapping[str, npt.NDArray[np.bool_]], info: MaskInfo) -> None:
    """Write masks (bool [out, in], by module path) so that ``path`` is complete or absent. Raises OSError.

    Equal masks and metadata give equal bytes; the library's own writer puts metadata in random order.
    """
    packed = {name: pack_msb_first(mask) for name, mask in sorted(masks.items())}
    header: dict[str, Any] = {"__metadata__": dict(sorted(_to_metadata(info).items()))}
    start = 0
    for name, bits in packed.items():
        header[name] = {"dtype": "U8", "shape": [bits.size], "data_offsets": [start, start + bits.size]}
        start += bits.size
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the tensors are aligned, as the library does
    with atomic_write(path) as unfinished, unfinished.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for bits in packed.values():
            file.write(bits.data)


def read_info(path: Path) -> MaskInfo:
    """The metadata alone, without the bits. Raises PermanentError (``mask_invalid``)."""
    try:
        with safe_open(path, framework="np") as file:
            return _from_metadata(file.metadata())
    except (SafetensorError, OSError) as fault:
        raise mask_error(path, f"not a complete safetensors file ({fault})") from fault


def read(path: Path) -> tuple[Masks, MaskInfo]:
    """Masks by module path, and their metadata.

    Raises PermanentError (``mask_invalid``) for files that are truncated, of another format, or whose bits do not fit the
    shapes and counts of their metadata.
    """
    info = read_info(path)
    masks: Masks = {}
    with safe_open(path, framework="np") as file:
        names = set(file.keys())
        if names != set(info.shapes) or names != set(info.kept):
            raise mask_error(path, "its tensors are not those of its metadata")
        for name, (rows, columns) in info.shapes.items():
            size = rows * columns
            about = file.get_slice(name)
            if about.get_dtype() != "U8" or about.get_shape() != [packed_size(size)]:
                raise mask_error(path, f"tensor {name} does not hold {rows} x {columns} bits")
            packed = file.get_tensor(name)
            mask = unpack_msb_first(packed, size)
            if has_ones_after(packed, size) or np.count_nonzero(mask) != info.kept[name]:
                raise mask_error(path, f"the ones of {name} are not the {info.kept[name]} of its metadata")
            masks[name] = mask.reshape(rows, columns)
    return masks, info


def mask_error(path: Path, fault: str) -> PermanentError:
    """The error for a file that is not a mask."""
    return PermanentError(
        f"{path.name} is not a mask of this format: {fault}; download it again", code="mask_invalid", param="mask"
    )


_TEXTS = {
    name
    for name, field in MaskInfo.model_fields.items()
    if field.annotation in (str, str | None) or name in ("format", "kind", "pooling")
}
"""Fields written as plain text; the others as JSON. A field that is None is left out."""


def _to_metadata(info: MaskInfo) -> dict[str, str]:
    values: dict[str, Any] = info.model_dump(mode="json")
    return {key: value if key in _TEXTS else json.dumps(value) for key, value in values.items() if value is not None}


def _from_metadata(metadata: dict[str, str] | None) -> MaskInfo:
    if not metadata or metadata.get("format") != FORMAT or "version" not in metadata:
        raise PermanentError(
            "the file has no metadata of a mask; give a mask.safetensors of a finished job", code="mask_invalid", param="mask"
        )
    try:
        values = {key: text if key in _TEXTS else json.loads(text) for key, text in metadata.items()}
        return MaskInfo.model_validate(values, context=RECORD)
    except (ValueError, RecursionError) as fault:  # pydantic's and json's errors are ValueErrors
        raise PermanentError(f"the mask's metadata cannot be read: {fault}", code="mask_invalid", param="mask") from fault
