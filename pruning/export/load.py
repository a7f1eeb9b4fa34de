"""Loader of exports: a folder or archive back into a model that predicts.

Called by ``espalier.load_export``, and by :mod:`pruning.export.run` to check what was written.
"""

import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers import AutoConfig, AutoTokenizer

from pruning.errors import PermanentError
from pruning.export import sparse24
from pruning.export.bundle import WEIGHTS, Manifest, read_manifest
from pruning.export.compaction import replace_module
from pruning.export.csr import CsrLinear
from pruning.export.layer_map import set_head_size
from pruning.export.onnx import MODEL, OnnxHead
from pruning.hub.models import ModelFolder
from pruning.inference.masked_base import create_mask_head
from pruning.inference.pruned_model import PrunedModel
from pruning.masking.wrap import prunable_linears
from pruning.models.checks import MODEL_TYPES, read_model_type
from pruning.models.loading import LoadedModel, transformers_class
from pruning.models.plain_modules import use_plain_modules


def load_export(folder: str | Path) -> PrunedModel:
    """The model in an export's folder or archive, of any format but ``stock``.

    Raises PermanentError: ``export_invalid`` for what is damaged, ``export_packages_missing`` for ONNX without onnxruntime,
    ``device_unsupported`` for semi-structured without a GPU.
    """
    path = Path(folder)
    if path.is_file():
        with _unpacked(path) as unpacked:
            return load_export(unpacked)
    manifest = read_manifest(path)
    if manifest.format not in ("onnx", "onnx-int8") and read_model_type(path) not in MODEL_TYPES:
        raise PermanentError(f"model type {read_model_type(path)!r} is not known here", code="export_invalid", param="folder")
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
        if manifest.format in ("onnx", "onnx-int8"):
            head: nn.Module = OnnxHead(path / MODEL)
        else:
            head = _torch_head(path, manifest, tokenizer)
    except PermanentError:
        raise
    except Exception as fault:  # any exception of three libraries' readers means that these files do not load
        raise PermanentError(
            f"export {path.name!r} does not load: {type(fault).__name__}: {fault}", code="export_invalid", param="folder"
        ) from fault
    return PrunedModel(head, tokenizer, manifest.mask)


@contextmanager
def _unpacked(archive: Path) -> Iterator[Path]:
    """The one folder in an ``export-<format>.zip``; files that were read may stay mapped after the folder is deleted."""
    with tempfile.TemporaryDirectory(prefix="espalier-export-") as target:
        try:
            with zipfile.ZipFile(archive) as packed:
                packed.extractall(target)
        except (zipfile.BadZipFile, zlib.error, EOFError) as fault:
            raise PermanentError(
                f"{archive.name} is not an export: {fault}; download it again", code="export_invalid", param="folder"
            ) from fault
        folders = [folder for folder in Path(target).iterdir() if folder.is_dir()]
        yield folders[0] if len(folders) == 1 else Path(target)


def _torch_head(path: Path, manifest: Manifest, tokenizer: Any) -> nn.Module:
    config = AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    kind = transformers_class(manifest.mask.head, decoder_only=manifest.decoder_only)
    model = use_plain_modules(kind.from_config(config, trust_remote_code=False).eval())
    head = create_mask_head(
        LoadedModel(model, tokenizer, ModelFolder(path, None), 0, manifest.decoder_only, frozenset()), manifest.mask
    )
    state = _state(path / WEIGHTS)
    for name in prunable_linears(model):
        replace_module(model, name, _shell(name, manifest, state))
    for name, size in manifest.head_sizes.items():
        set_head_size(model.get_submodule(name), size)
    head.load_state_dict(state, assign=True)
    for module in head.modules():
        if isinstance(module, CsrLinear):
            module.check()
    if manifest.format == "semi-structured":
        device = sparse24.require_gpu()
        head.to(device)
        sparse24.compress(model, device)
    return head.eval().requires_grad_(requires_grad=False)


def _shell(name: str, manifest: Manifest, state: dict[str, torch.Tensor]) -> nn.Module:
    """A module of the type and size of the weights that are loaded into it."""
    if name in manifest.sparse:
        return CsrLinear(*manifest.sparse[name], kept=len(state[f"model.{name}.values"]))
    rows, columns = state[f"model.{name}.weight"].shape
    return nn.Linear(columns, rows, bias=f"model.{name}.bias" in state, device="meta")


def _state(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as fault:
        raise PermanentError(f"{path.name} cannot be read: {fault}", code="export_invalid", param="folder") from fault
