"""CSR modules: products equal the dense ones, only where they save bytes; indices are checked before use."""

from pathlib import Path

import pytest
import torch
from torch import nn

from pruning.errors import PermanentError
from pruning.export.csr import MOST, CsrLinear, sparsify
from pruning.masking.wrap import prunable_linears
from tests.pruning.export.factories import make_mask, subject_of


def thin(rows: int, columns: int, share: float, *, bias: bool = True) -> nn.Linear:
    linear = nn.Linear(columns, rows, bias=bias)
    linear.weight.data.mul_(torch.rand(rows, columns) < share)
    return linear


@pytest.mark.parametrize("shape", [(7, 5), (1, 33), (64, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_the_product_is_that_of_the_dense_layer(shape: tuple[int, int], bias: bool) -> None:
    torch.manual_seed(0)
    linear = thin(*shape, 0.2, bias=bias)
    sparse = CsrLinear.from_linear(linear)
    assert len(sparse.values) == int(linear.weight.count_nonzero())
    for size in ((), (4,), (2, 3)):
        x = torch.randn(*size, shape[1])
        torch.testing.assert_close(sparse(x), linear(x), rtol=0, atol=1e-5)


def test_a_matrix_without_weights_gives_its_bias() -> None:
    sparse = CsrLinear.from_linear(thin(4, 6, 0.0))
    assert torch.equal(sparse(torch.randn(2, 6)), sparse.bias.expand(2, 4))


def test_matrices_that_keep_too_much_stay_dense(models: Path, tmp_path: Path) -> None:
    model = subject_of(make_mask(tmp_path / "mask.safetensors", models / "bert", share=0.2), models / "bert").model
    densities = {name: float((linear.weight != 0).float().mean()) for name, linear in prunable_linears(model).items()}
    wanted = {name for name, density in densities.items() if density <= MOST}
    assert len(wanted) > 0
    shapes = sparsify(model)
    assert set(shapes) == wanted
    assert all(isinstance(model.get_submodule(name), CsrLinear) for name in shapes)


def test_where_no_matrix_is_thin_enough_it_says_that_there_is_no_gain(models: Path, tmp_path: Path) -> None:
    model = subject_of(make_mask(tmp_path / "mask.safetensors", models / "bert", share=1.0), models / "bert").model
    with pytest.raises(PermanentError, match="15%") as refused:
        sparsify(model)
    assert refused.value.code == "export_pointless"


@pytest.mark.parametrize("change", [("columns", 99), ("columns", -1), ("crow", 1000)])
def test_indices_outside_the_matrix_are_refused(change: tuple[str, int]) -> None:
    sparse = CsrLinear.from_linear(thin(8, 8, 0.5))
    sparse.check()
    getattr(sparse, change[0])[-1] = change[1]
    with pytest.raises(PermanentError) as refused:
        sparse.check()
    assert refused.value.code == "export_invalid"
