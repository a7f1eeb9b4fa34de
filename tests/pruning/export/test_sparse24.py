"""2:4 exports without a GPU: which matrices are 2:4 and fit, and the refusal of a machine without a GPU.

The compressed tensors themselves are made by torch, on GPUs only; nothing here has run on one.
"""

from pathlib import Path

import pytest
import torch

from pruning.errors import PermanentError
from pruning.export import sparse24
from tests.pruning.export.factories import make_mask, subject_of


def test_two_of_four_is_counted_in_groups_of_neighbours() -> None:
    assert sparse24.is_two_four(torch.tensor([[0.0, 1, 0, 2, 3, 4, 0, 0]]))
    assert not sparse24.is_two_four(torch.tensor([[0.0, 0, 1, 2, 3, 4, 5, 0]]))
    assert not sparse24.is_two_four(torch.zeros(2, 6))


def test_another_pattern_is_refused_by_the_matrix(models: Path, masks: Path) -> None:
    with pytest.raises(PermanentError, match=r"bert\.encoder\.layer\.0\.attention\.self\.query") as refused:
        sparse24.eligible_matrices(subject_of(masks / "bert.safetensors", models / "bert").model)
    assert refused.value.code == "export_unsupported"


def test_matrices_of_the_wrong_size_do_not_fit(models: Path, tmp_path: Path) -> None:
    mask = make_mask(tmp_path / "mask.safetensors", models / "bert", pattern="2:4", sparsity=0.5)
    model = subject_of(mask, models / "bert").model
    with pytest.raises(PermanentError, match=r"\b32\b.*\b64\b") as refused:
        sparse24.eligible_matrices(model)  # a toy is 32 wide
    assert refused.value.code == "export_unsupported"
    model.get_submodule("bert.encoder.layer.1").output.dense = torch.nn.Linear(64, 32)
    model.get_submodule("bert.encoder.layer.1").output.dense.weight.data[:, ::2] = 0
    assert sparse24.eligible_matrices(model) == ["bert.encoder.layer.1.output.dense"]


def test_matrices_that_were_left_dense_stay_so(models: Path, tmp_path: Path) -> None:
    mask = make_mask(tmp_path / "mask.safetensors", models / "bert", pattern="2:4", sparsity=0.5)
    model = subject_of(mask, models / "bert").model
    for layer in (0, 1):
        model.get_submodule(f"bert.encoder.layer.{layer}").output.dense = torch.nn.Linear(64, 32)
    model.get_submodule("bert.encoder.layer.1").output.dense.weight.data[:, ::2] = 0
    assert sparse24.eligible_matrices(model) == ["bert.encoder.layer.1.output.dense"]
    model.get_submodule("bert.encoder.layer.0").output.dense.weight.data[:, ::8] = 0
    with pytest.raises(PermanentError, match=r"layer\.0\.output\.dense"):
        sparse24.eligible_matrices(model)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_it_says_so() -> None:
    with pytest.raises(PermanentError) as refused:
        sparse24.require_gpu()
    assert refused.value.code == "device_unsupported"


def test_an_old_gpu_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")
    with pytest.raises(PermanentError, match=r"Tesla T4.*7\.5") as refused:
        sparse24.require_gpu()
    assert refused.value.code == "device_unsupported"
