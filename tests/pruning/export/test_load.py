"""Loading of export folders: the model comes back to the last bit; a damaged folder is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import espalier
from pruning.errors import PermanentError
from pruning.export.build import write_export
from pruning.export.bundle import read_manifest
from pruning.export.csr import CsrLinear
from pruning.export.load import load_export
from tests import toy_datasets, toy_models
from tests.pruning.export.factories import padded_batch, subject_of


@pytest.mark.parametrize("shape", toy_models.SHAPES)
@pytest.mark.parametrize("name", ["compact", "csr"])
def test_what_was_written_is_loaded_and_predicts(models: Path, masks: Path, tmp_path: Path, shape: str, name: str) -> None:
    subject = subject_of(masks / f"{shape}.safetensors", models / shape)
    manifest = write_export(subject, name, tmp_path)  # type: ignore[arg-type]
    assert manifest == read_manifest(tmp_path)
    assert manifest.compacted
    assert manifest.id2label == {"0": "negative", "1": "positive"}
    exported = espalier.load_export(tmp_path)
    batch = padded_batch(subject)
    with torch.no_grad():
        torch.testing.assert_close(exported.head(**batch), subject.pruned.head(**batch), rtol=0, atol=1e-5)
    texts = [row["sentence"] for row in toy_datasets.opinions(12, 3)]
    np.testing.assert_allclose(exported.logits(texts), subject.pruned.logits(texts), rtol=0, atol=1e-5)
    assert exported.predict(texts) == subject.pruned.predict(texts)
    assert exported.labels == ("negative", "positive")
    assert any(isinstance(module, CsrLinear) for module in exported.head.modules()) == (name == "csr")


def _unknown_format(folder: Path) -> None:
    manifest = json.loads((folder / "espalier.json").read_text())
    (folder / "espalier.json").write_text(json.dumps({**manifest, "format": "pickle"}))


def _other_type(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "t5"}))


def _wild_index(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors[next(name for name in tensors if name.endswith(".columns"))][0] = 10_000
    save_file(tensors, folder / "model.safetensors")


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda folder: (folder / "espalier.json").unlink(), r"espalier\.json"),
    "no JSON": (lambda folder: (folder / "espalier.json").write_text("{"), r"espalier\.json"),
    "a format that is none": (_unknown_format, r"espalier\.json"),
    "another model type": (_other_type, "'t5'"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), r"model\.safetensors"),
    "an index outside its matrix": (_wild_index, "matrix"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_folder_is_refused(models: Path, masks: Path, tmp_path: Path, damage: str) -> None:
    write_export(subject_of(masks / "bert.safetensors", models / "bert"), "csr", tmp_path)
    change, message = DAMAGE[damage]
    change(tmp_path)
    with pytest.raises(PermanentError, match=message) as refused:
        load_export(tmp_path)
    assert refused.value.code == "export_invalid"


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(18)])
def test_a_file_that_is_no_archive_of_an_export_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "export-csr.zip").write_bytes(content)
    with pytest.raises(PermanentError) as refused:
        espalier.load_export(tmp_path / "export-csr.zip")
    assert refused.value.code == "export_invalid"
