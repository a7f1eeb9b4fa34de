"""Writers of the export formats: one folder from a masked model.

Called by :mod:`pruning.export.run`, which loads the folder again and measures it.
"""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from pruning.errors import PermanentError
from pruning.export import sparse24
from pruning.export.bundle import WEIGHTS, Manifest, write_manifest
from pruning.export.compaction import compact
from pruning.export.csr import sparsify
from pruning.export.onnx import MODEL, write_int8, write_onnx
from pruning.inference.pruned_model import PrunedModel
from pruning.spec.export_formats import COMPACT_TYPES, Format


@dataclass(frozen=True)
class ExportSource:
    """The masked dense model that every export starts from; none of them changes it."""

    pruned: PrunedModel
    decoder_only: bool

    @property
    def model(self) -> Any:
        """transformers' model, its head cut down to the label words."""
        return self.pruned.head.model

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors that the head takes."""
        typed = "token_type_ids" in self.pruned.tokenizer.model_input_names
        return ("input_ids", "attention_mask", *(("token_type_ids",) if typed else ()))


def write_export(source: ExportSource, format_: Format, folder: Path) -> Manifest:
    """Write the export, without README and figures, into ``folder``, which exists and is empty. Raises PermanentError."""
    head: Any = copy.deepcopy(source.pruned.head)
    changes = _WRITERS[format_](source, head, folder)
    manifest = Manifest(
        format=format_,
        id2label=_id2label(source),
        inputs=source.inputs,
        decoder_only=source.decoder_only,
        mask=source.pruned.info,
        compacted=bool(changes.pop("compacted", False)),
        **changes,
    )
    source.pruned.tokenizer.save_pretrained(folder)
    write_manifest(folder, manifest)
    return manifest


def _id2label(source: ExportSource) -> dict[str, str]:
    labels = ("start", "end") if source.pruned.info.kind == "span" else source.pruned.labels
    return {str(number): label for number, label in enumerate(labels)}


def _compact(source: ExportSource, head: Any, folder: Path) -> dict[str, Any]:
    sizes = compact(head.model)
    _save(head, folder)
    return {"compacted": True, "head_sizes": sizes}


def _csr(source: ExportSource, head: Any, folder: Path) -> dict[str, Any]:
    sizes = _compact_if_supported(head)
    sparse = sparsify(head.model)
    _save(head, folder)
    return {"compacted": sizes is not None, "head_sizes": sizes or {}, "sparse": sparse}


def _onnx(source: ExportSource, head: Any, folder: Path) -> dict[str, Any]:
    return _write_onnx_file(write_onnx, source, head, folder)


def _onnx_int8(source: ExportSource, head: Any, folder: Path) -> dict[str, Any]:
    return _write_onnx_file(write_int8, source, head, folder)


def _semi_structured(source: ExportSource, head: Any, folder: Path) -> dict[str, Any]:
    sparse24.require_gpu()
    sparse24.eligible_matrices(head.model)
    _save(head.half(), folder)
    return {}


_WRITERS: dict[str, Callable[[ExportSource, Any, Path], dict[str, Any]]] = {
    "compact": _compact,
    "csr": _csr,
    "onnx": _onnx,
    "onnx-int8": _onnx_int8,
    "semi-structured": _semi_structured,
}


def _write_onnx_file(writer: Callable[..., None], source: ExportSource, head: Any, folder: Path) -> dict[str, Any]:
    sizes = _compact_if_supported(head)
    info = source.pruned.info
    notes = {"id2label": json.dumps(_id2label(source)), "task": info.task, "base_model": info.base_model}
    writer(head, source.inputs, folder / MODEL, notes)
    return {"compacted": sizes is not None, "head_sizes": sizes or {}}


def _compact_if_supported(head: Any) -> dict[str, int] | None:
    """Head sizes of the model, compacted in place; None where its type is not one that can be."""
    if head.model.config.model_type not in COMPACT_TYPES:
        return None
    return compact(head.model)


def _save(head: nn.Module, folder: Path) -> None:
    """Weights and configuration; tied tensors are stored once each, as safetensors wants it."""
    model: Any = head.get_submodule("model")
    try:
        model.config.save_pretrained(folder)
    except ValueError as fault:  # a generation setting that transformers no longer accepts
        raise PermanentError(f"the configuration cannot be written: {fault}", code="export_unsupported") from fault
    save_file({name: tensor.detach().contiguous().clone() for name, tensor in head.state_dict().items()}, folder / WEIGHTS)
