"""Catalogue of the export formats, and the formats that a job cannot have because of its pattern or model type. Torch-free.

The API lists it and refuses from it at submission; the formats themselves are written by :mod:`pruning.export`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Format = Literal["compact", "csr", "onnx", "onnx-int8", "semi-structured", "stock"]


@dataclass(frozen=True)
class FormatInfo:
    """One row of the table."""

    name: Format
    summary: str
    packages: tuple[str, ...] = ()
    """Packages of the ``onnx`` extra that this format needs."""


FORMATS: dict[str, FormatInfo] = {
    info.name: info
    for info in (
        FormatInfo("compact", "Smaller matrices without neurons, dimensions and heads that have no effect; the same logits"),
        FormatInfo("csr", "Sparse matrices (CSR) for processors, where a matrix keeps few enough weights"),
        FormatInfo("onnx", "A dense ONNX file, compacted where the model allows it", ("onnx", "onnxscript", "onnxruntime")),
        FormatInfo("onnx-int8", "An ONNX file with 8-bit weights", ("onnx", "onnxscript", "onnxruntime")),
        FormatInfo("semi-structured", "2:4 matrices in half precision, for NVIDIA GPUs of compute capability 8.0 and above"),
        FormatInfo("stock", "A folder that plain transformers loads; the size and speed of the dense model"),
    )
}


def archive_name(name: str) -> str:
    """The file that an export of this format becomes when it is stored."""
    return f"export-{name}.zip"


def parse_formats(names: Sequence[str]) -> tuple[Format, ...]:
    """The names as formats. Raises ValueError for any other."""
    formats: list[Format] = []
    for name in names:
        if name not in FORMATS:
            raise ValueError(f"{name!r} is not one of {', '.join(FORMATS)}")
        formats.append(FORMATS[name].name)
    return tuple(formats)


COMPACT_TYPES = ("bert", "camembert", "distilbert", "electra", "gpt2", "roberta", "xlm-roberta")
"""Model types whose layers :mod:`pruning.export.layer_map` recognises by their modules; for refusals at submission."""


POOLING_TYPES = ("modernbert",)
"""Model types whose transformers class for classification has mean pooling; those of all others read the first token."""


@dataclass(frozen=True)
class UnsupportedFormat:
    """An export that a job cannot have, and why."""

    index: int
    """Position of the format in the request's list."""
    message: str


def unsupported_by_pattern(formats: Sequence[str], pattern: str) -> UnsupportedFormat | None:
    """The first of ``formats`` that the pattern of the masks rules out."""
    if pattern != "2:4" and "semi-structured" in formats:
        return UnsupportedFormat(
            formats.index("semi-structured"),
            f"semi-structured needs pattern '2:4', this job has {pattern!r}; choose pattern '2:4' or leave the export out",
        )
    return None


def unsupported_by_model_type(formats: Sequence[str], model_type: str) -> UnsupportedFormat | None:
    """The first of ``formats`` that this model type cannot have."""
    if model_type not in COMPACT_TYPES and "compact" in formats:
        return UnsupportedFormat(
            formats.index("compact"),
            f"compact is for {', '.join(COMPACT_TYPES)}, this model is {model_type!r}; leave the export out",
        )
    return None


def unsupported_by_pooling(formats: Sequence[str], pooling: str | None, model_type: str) -> UnsupportedFormat | None:
    """The first of ``formats`` that the pooling of a classifier on this model type rules out."""
    if pooling == "mean" and model_type not in POOLING_TYPES and "stock" in formats:
        return UnsupportedFormat(
            formats.index("stock"),
            f"stock is transformers' own class, which for {model_type!r} has no mean pooling; leave the export out, take onnx, or "
            "set pooling to first",
        )
    return None
