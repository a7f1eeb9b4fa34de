"""Launches of the score update on a GPU: gradients, clipping and Adam in four launches, without a copy to the host.

    gradients  reads G, W, S; writes dL/dS            16 bytes a weight, 14 with G in bf16
    clip_norm  reads one number a matrix               the clipping factor, and whether the update takes place
    adam       reads dL/dS, m, v, S; writes m, v, S    28 bytes a weight; Σσ(S/p) in the same pass

Called by :mod:`pruning.training.gpu_pruner`. What the host decides (λ, step size, ...) goes to the device as the
:class:`StepScalars` of a step; results stay in ``report`` and ``masses`` until the host reads them. G may be bf16, the gradient
of a bf16 copy of W ⊙ M: it is widened first, so products and sums are the same as for float32, and dL/dS goes to float32
tensors of its own.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from pruning.masking.kernels.triton import adam_kernels as programs
from pruning.masking.kernels.triton.chunk_table import ChunkTable, PointerArray
from pruning.masking.kernels.triton.transfers import to_device_async

_LANES = 128
"""Partial sums that are added at once."""
Tensors = Sequence[torch.Tensor]


class StepScalars(NamedTuple):
    """Scalars of one update that the host decides; as float64 on the device."""

    regularization: float
    """λ_t."""
    shift: float
    """The regulariser is the mean of σ(S - shift)."""
    max_grad_norm: float
    keep1: float
    """β1, then 1 - β1, and the same of β2."""
    take1: float
    keep2: float
    take2: float
    step: float
    """S moves by step · m / (sqrt(v) / divisor + ε)."""
    divisor: float
    epsilon: float


class ScoreUpdate:
    """The update of the scores of all matrices of ``table``.

    ``report`` is float64 [2 n + 3] on the device, for n matrices, as the last :meth:`gradients` and :meth:`clip_norm` wrote it:
    mean σ(S - shift) of each, Σ(dL/dS)² of each, and ``clipping``: the norm of all gradients, the factor they are clipped by, and
    1 as long as everything has been finite. ``masses`` is float64 [n]: mean σ(S/p) of the scores after the last :meth:`adam` or
    :meth:`compute_masses`.
    """

    def __init__(self, table: ChunkTable) -> None:
        self.table, n = table, len(table.sizes)
        self.report = torch.zeros(2 * n + 3, dtype=torch.float64, device=table.device)
        self._means, self._squares, self.clipping = self.report[:n], self.report[n : 2 * n], self.report[2 * n :]
        self.clipping[2].fill_(1.0)
        self.masses = torch.zeros(n, dtype=torch.float64, device=table.device)
        self._parts = torch.zeros(table.chunks, dtype=torch.float64, device=table.device)
        self._squared = torch.zeros_like(self._parts)
        self._unused_scalars = torch.ones(len(StepScalars._fields), dtype=torch.float64, device=table.device)
        self._no_update = torch.zeros(3, dtype=torch.float64, device=table.device)
        self._inverse: tuple[tuple[float | None, ...], torch.Tensor] = ((), self._no_update)
        self._pointer_arrays: dict[tuple[str, torch.dtype], PointerArray] = {}

    def gradients(
        self,
        weight_gradients: Tensors,
        out: Tensors,
        base: Tensors,
        scores: Tensors,
        slopes: Sequence[torch.Tensor | None],
        scalars: torch.Tensor,
    ) -> None:
        """out <- G ⊙ W (⊙ slope) + λ σ(S - shift)(1 - σ(S - shift)) / (weights · matrices), for all matrices.

        ``weight_gradients`` are the G, float32 (then they may be ``out``) or bf16. The report has means and squares. Raises
        UnsupportedSizesError.
        """
        table, bf16 = self.table, weight_gradients[0].dtype == torch.bfloat16
        programs.gradients[(table.chunks,)](
            self._pointers("weight_gradients", weight_gradients),
            self._pointers("out", out),
            self._pointers("base", base),
            self._pointers("scores", scores),
            self._pointers("slopes", slopes),
            table.matrix,
            table.chunk_number,
            table.weights,
            scalars,
            self._parts,
            self._squared,
            len(table.sizes),
            bf16=bf16,
            sloped=any(slope is not None for slope in slopes),
            **table.layout,
        )
        self._sum_by_matrix(self._parts, self._means, mean=True)
        self._sum_by_matrix(self._squared, self._squares, mean=False)

    def clip_norm(
        self, scalars: torch.Tensor, others: torch.Tensor | None = None, losses: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Complete the report by the results of :meth:`gradients`, by the norms of ``others``' gradients and by ``losses``.

        Both float64 [any]. Returns ``clipping``, the end of the report.
        """
        others, losses = (self._no_update[:0] if given is None else given for given in (others, losses))
        programs.clip_norm[(1,)](
            self._squares,
            len(self.table.sizes),
            others,
            others.numel(),
            losses,
            losses.numel(),
            scalars,
            self.clipping,
            block=_LANES,
            num_warps=1,
            enable_fp_fusion=False,
        )
        return self.clipping

    def adam(
        self,
        scores: Tensors,
        gradients: Tensors,
        first: Tensors,
        second: Tensors,
        scalars: torch.Tensor,
        temperatures: Sequence[float | None],
        clipping: torch.Tensor | None = None,
    ) -> None:
        """One Adam update in place, none unless everything was finite; masses of the new scores where a temperature p is given.

        ``clipping`` is that of another update where its gradients are clipped together with these.
        """
        given = [("scores", scores), ("out", gradients), ("first", first), ("second", second)]
        clipping = self.clipping if clipping is None else clipping
        self._adam([self._pointers(role, tensors) for role, tensors in given], scalars, clipping, temperatures)

    def compute_masses(self, scores: Tensors, temperatures: Sequence[float | None]) -> None:
        """The masses of the scores as they are: by the program of :meth:`adam`, so equal to the last bit."""
        self._adam([self._pointers("scores", scores)] * 4, self._unused_scalars, self._no_update, temperatures)

    def _adam(
        self, pointers: list[torch.Tensor], scalars: torch.Tensor, clipping: torch.Tensor, temperatures: Sequence[float | None]
    ) -> None:
        table = self.table
        programs.adam[(table.chunks,)](
            *pointers,
            table.matrix,
            table.chunk_number,
            table.weights,
            scalars,
            clipping,
            self._inverses(temperatures),
            self._parts,
            **table.layout,
        )
        self._sum_by_matrix(self._parts, self.masses, mean=True)

    def _sum_by_matrix(self, parts: torch.Tensor, out: torch.Tensor, *, mean: bool) -> None:
        table = self.table
        programs.add_up[(len(table.sizes),)](
            parts, table.first, table.weights, out, mean=mean, block=_LANES, num_warps=4, enable_fp_fusion=False
        )

    def _inverses(self, temperatures: Sequence[float | None]) -> torch.Tensor:
        if self._inverse[0] != tuple(temperatures):
            inverse = [0.0 if p is None else 1 / p for p in temperatures]
            self._inverse = (tuple(temperatures), to_device_async(inverse, torch.float32, self.table.device))
        return self._inverse[1]

    def _pointers(self, role: str, tensors: Sequence[torch.Tensor | None]) -> torch.Tensor:
        dtype = next((tensor.dtype for tensor in tensors if tensor is not None), torch.float32)
        kind = dtype if role == "weight_gradients" and dtype == torch.bfloat16 else torch.float32
        return self._pointer_arrays.setdefault((role, kind), PointerArray(self.table, kind)).update(tensors)
