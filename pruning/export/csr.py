"""CSR linear layers for processors: a matrix of which few weights remain is multiplied by those alone.

Measured on one core (``benchmarks/inference.py``): worth it for matrices of BERT's size at a tenth of the weights and below;
a matrix that keeps more than :data:`MOST` stays dense, because the sparse product would be slower.
"""

import warnings

import torch
from torch import nn

from pruning.errors import PermanentError
from pruning.export.compaction import replace_module
from pruning.masking.wrap import prunable_linears

MOST = 0.15
"""Density above which a matrix stays dense: about where both products take the same time at 128 tokens."""


class CsrLinear(nn.Module):
    """y = x Wᵀ + b with W [out, in] in compressed sparse rows: ``crow`` [out + 1], ``columns`` and ``values`` [kept]."""

    crow: torch.Tensor
    columns: torch.Tensor
    values: torch.Tensor
    bias: torch.Tensor

    def __init__(self, rows: int, columns: int, kept: int) -> None:
        """Buffers for ``kept`` weights, filled by :meth:`of` or a state dict."""
        super().__init__()
        self.in_features, self.out_features = columns, rows
        self.register_buffer("crow", torch.zeros(rows + 1, dtype=torch.int32))
        self.register_buffer("columns", torch.zeros(kept, dtype=torch.int32))
        self.register_buffer("values", torch.zeros(kept))
        self.register_buffer("bias", torch.zeros(rows))

    @classmethod
    def from_linear(cls, linear: nn.Linear) -> "CsrLinear":
        """The non-zero weights of a dense layer."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's "beta state"
            sparse = linear.weight.detach().to_sparse_csr()
        made = cls(linear.out_features, linear.in_features, len(sparse.values()))
        made.crow, made.columns = (sparse.crow_indices().int(), sparse.col_indices().int())  # MKL takes 32 bits as they are
        made.values = sparse.values()
        if linear.bias is not None:
            made.bias = linear.bias.detach().clone()
        return made

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.reshape(-1, self.in_features)  # [N, in]
        product = self._matrix(check=False) @ rows.t()  # sparse first: the other order is several times slower
        return (product.t() + self.bias).view(*x.shape[:-1], self.out_features)

    def check(self) -> None:
        """Raise PermanentError unless the indices lie inside the matrix; the product itself does not check them."""
        try:
            self._matrix(check=True)
        except RuntimeError as fault:
            raise PermanentError(f"a sparse matrix of the export is damaged: {fault}", code="export_invalid") from fault

    def _matrix(self, *, check: bool) -> torch.Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.sparse_csr_tensor(
                self.crow, self.columns, self.values, (self.out_features, self.in_features), check_invariants=check
            )


def sparsify(model: nn.Module) -> dict[str, tuple[int, int]]:
    """Put CSR modules in place of the sparse matrices; module path → shape of each.

    Raises PermanentError (``export_pointless``) where every matrix keeps too much.
    """
    linears = prunable_linears(model)
    thin = [path for path, linear in linears.items() if int(linear.weight.count_nonzero()) <= MOST * linear.weight.numel()]
    if not thin:
        densest = min(int(linear.weight.count_nonzero()) / linear.weight.numel() for linear in linears.values())
        raise PermanentError(
            f"no gain: every matrix keeps more than {MOST:.0%} of its weights (the sparsest {densest:.0%}), where a sparse "
            "product is slower than a dense one; prune further or export onnx-int8",
            code="export_pointless",
            param="exports",
        )
    for path in thin:
        replace_module(model, path, CsrLinear.from_linear(linears[path]))
    return {path: (linears[path].out_features, linears[path].in_features) for path in thin}
