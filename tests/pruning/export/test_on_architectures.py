"""Every export of every model type: what is written, loaded again, gives the logits of the mask, or is refused by its type."""

from pathlib import Path
from typing import Any

import pytest
import torch

from pruning.errors import PermanentError
from pruning.export.build import write_export
from pruning.export.load import load_export
from pruning.models.checks import MODEL_TYPES
from pruning.spec.export_formats import COMPACT_TYPES, Format
from tests import toy_architectures
from tests.model_matrix import MATRIX, ONNX_RUN
from tests.pruning.export.factories import make_mask, padded_batch, subject_of

ONNX_ELSEWHERE = ("bert", "roberta", "modernbert")
"""Written as ONNX by tests of the exporter and of runs, too."""
ONNX_ALIKE = ("gemma2", "gpt_neox", "phi")
"""Decoders that differ from those always written in a detail: soft caps, parallel blocks, positions rotated in part."""


def cases() -> list[Any]:
    """Every toy in every format. torch's ONNX exporter takes seconds for each, so toys whose file proves little that another
    does not are ``exhaustive``."""
    found = []
    for row in MATRIX:
        for name in ("compact", "csr", "onnx") if "label-words" in row.heads else ():
            if name == "onnx" and row.shape not in ONNX_RUN:
                continue
            more = name == "onnx" and row.shape in (*ONNX_ELSEWHERE, *ONNX_ALIKE)
            found.append(pytest.param(row.shape, name, marks=pytest.mark.exhaustive if more else ()))
    return found


@pytest.mark.parametrize(("shape", "name"), cases())
def test_what_was_written_gives_the_logits_of_the_mask(models: Path, tmp_path: Path, shape: str, name: Format) -> None:
    if name == "onnx":
        pytest.importorskip("onnx", reason="the onnx extra is not installed")
    subject = subject_of(make_mask(tmp_path / "mask.safetensors", models / shape, share=0.05), models / shape)
    folder = tmp_path / "export"
    folder.mkdir()
    if name == "compact" and subject.model.config.model_type not in COMPACT_TYPES:
        with pytest.raises(PermanentError) as refused:
            write_export(subject, name, folder)
        assert refused.value.code == "export_unsupported"
        return
    write_export(subject, name, folder)
    exported = load_export(folder)
    for lengths in ((17,), (24, 3, 11)):
        batch = padded_batch(subject, lengths)
        with torch.no_grad():
            torch.testing.assert_close(exported.head(**batch), subject.pruned.head(**batch), rtol=0, atol=1e-5)


def test_the_table_names_every_model_type_and_every_toy() -> None:
    assert {row.model_type for row in MATRIX} == set(MODEL_TYPES)
    assert {row.shape for row in MATRIX} == set(toy_architectures.ALL)
    assert all((row.shape in ONNX_RUN) != (row.like in ONNX_RUN) for row in MATRIX)
