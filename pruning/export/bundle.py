"""Folder of an export: its files, and the manifest ``espalier.json`` from which :mod:`pruning.export.load` rebuilds the model.

    espalier.json       format, class names, head, what was changed; what load_export needs
    config.json         of the base model     (compact, csr, semi-structured)
    model.safetensors   weights               (compact, csr, semi-structured)
    model.onnx          the whole classifier  (onnx, onnx-int8)
    tokenizer files, README.md

A stock folder is written by :mod:`pruning.export.huggingface` and has no ``espalier.json``.
"""

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pruning.errors import PermanentError
from pruning.formats.mask_file import MaskInfo
from pruning.spec.export_formats import Format

MANIFEST = "espalier.json"
WEIGHTS = "model.safetensors"


class Manifest(BaseModel):
    """``espalier.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    format: Format
    id2label: dict[str, str]
    """Number of a logit → class name."""
    inputs: tuple[Literal["input_ids", "attention_mask", "token_type_ids"], ...]
    decoder_only: bool
    compacted: bool
    """Whether matrices are smaller than the base model's."""
    head_sizes: dict[str, int] = Field(default_factory=dict)
    """Module path of an attention → dimensions of its heads, where compacted."""
    sparse: dict[str, tuple[int, int]] = Field(default_factory=dict)
    """Module path of a CSR matrix → (out, in)."""
    mask: MaskInfo
    """Metadata of the mask that the export was made from."""


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``espalier.json``."""
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read ``espalier.json``. Raises PermanentError (``export_invalid``)."""
    try:
        return Manifest.model_validate(json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    except OSError as fault:
        raise PermanentError(
            f"{folder.name!r} is not an export that can be loaded: {MANIFEST} cannot be read ({fault.strerror}); "
            "a stock folder is loaded by transformers itself",
            code="export_invalid",
            param="folder",
        ) from fault
    except (ValidationError, ValueError) as fault:
        raise PermanentError(f"{folder / MANIFEST} is damaged: {fault}", code="export_invalid", param="folder") from fault
