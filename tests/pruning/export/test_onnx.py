"""ONNX files, dense and in 8 bits, under onnxruntime: any batch, any length, padding seen, class names inside."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pruning.errors import PermanentError
from pruning.export import onnx as exporter
from pruning.export.build import write_export
from pruning.export.load import load_export
from tests.pruning.export.factories import make_mask, padded_batch, subject_of

onnx = pytest.importorskip("onnx", reason="the onnx extra is not installed")


@pytest.mark.parametrize(("shape", "fields"), [("bert", {}), ("roberta", {"task": "squad", "stride": 8})], ids=["words", "span"])
def test_the_logits_are_those_of_torch(models: Path, tmp_path: Path, shape: str, fields: dict[str, Any]) -> None:
    subject = subject_of(make_mask(tmp_path / "mask.safetensors", models / shape, **fields), models / shape)
    (tmp_path / "onnx").mkdir()
    write_export(subject, "onnx", tmp_path / "onnx")
    exported = load_export(tmp_path / "onnx")
    for lengths in ((17,), (24, 3, 11), (5, 40, 8, 9, 33)):
        batch = padded_batch(subject, lengths)
        with torch.no_grad():
            expected = subject.pruned.head(**batch).numpy()
        np.testing.assert_allclose(exported.head(**batch).numpy(), expected, rtol=0, atol=1e-5)


def test_8_bits_are_smaller_near_and_in_the_file(models: Path, masks: Path, tmp_path: Path) -> None:
    subject = subject_of(masks / "electra.safetensors", models / "electra")
    path = tmp_path / "onnx-int8"
    path.mkdir()
    write_export(subject, "onnx-int8", path)
    model = onnx.load(path / "model.onnx")
    kinds = {node.op_type for node in model.graph.node}
    assert "MatMulInteger" in kinds or "DynamicQuantizeMatMul" in kinds
    notes = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(notes["id2label"]) == {"0": "negative", "1": "positive"}
    assert sorted(file.name for file in path.glob("*.onnx")) == ["model.onnx"]  # the dense one was for the way
    batch = padded_batch(subject)
    with torch.no_grad():
        expected = subject.pruned.head(**batch)
    got = load_export(path).head(**batch)
    assert not torch.equal(got, expected)
    torch.testing.assert_close(got, expected, rtol=0, atol=0.2)


def test_without_the_extra_it_names_what_is_missing(
    models: Path, masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(PermanentError, match=r"onnxscript.*espalier-pruning\[onnx\]") as refused:
        write_export(subject_of(masks / "bert.safetensors", models / "bert"), "onnx", tmp_path)
    assert refused.value.code == "export_packages_missing"


def test_a_model_that_one_file_cannot_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "_LARGEST", 100)
    with pytest.raises(PermanentError, match="100") as refused:
        exporter.write_onnx(torch.nn.Linear(8, 8), ["input_ids"], tmp_path / "model.onnx", {})
    assert refused.value.code == "export_unsupported"
