"""An update of the scores on a GPU, in four launches; nothing comes to the host.

    gradients  reads G, W, S; writes dL/dS            16 bytes a weight, 14 with G in bf16
    judge      reads one number a matrix               decides clipping, and whether the update takes place
    adam       reads dL/dS, m, v, S; writes m, v, S    28 bytes a weight; Σσ(S/p) on its way

What the host decides (λ, step size, ...) goes to the device as the :class:`Numbers` of a step; what it wants to know lies in
``report`` and ``masses`` until it asks. G may be bf16, the gradient of a bf16 copy of W ⊙ M: it is widened first, so products
and sums are the same as for float32, and dL/dS goes to float32 tensors of its own.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from pruning.masking.kernels.triton import adam_kernels as programs
from pruning.masking.kernels.triton.chunk_table import ChunkTable, PointerArray, to_device_async

_LANES = 128
"""Partial sums that are added at once."""
Tensors = Sequence[torch.Tensor]


class StepNumbers(NamedTuple):
    """What the host decides about one update; as float64 on the device."""

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
    """The update of the matrices of ``table``.

    ``report`` is float64 [2 n + 3] on the device, for n matrices, by the last :meth:`gradients` and :meth:`judge`: mean
    σ(S - shift) of each, Σ(dL/dS)² of each, the norm of all gradients, the factor they are clipped by, and 1 as long as
    everything has been finite. ``masses`` is float64 [n]: mean σ(S/p) of the scores as :meth:`adam` or
    :meth:`measure` left them.
    """

    def __init__(self, table: ChunkTable) -> None:
        self.table, n = table, len(table.sizes)
        self.report = torch.zeros(2 * n + 3, dtype=torch.float64, device=table.device)
        self._means, self._squares, self.clipping = self.report[:n], self.report[n : 2 * n], self.report[2 * n :]
        self.clipping[2].fill_(1.0)
        self.masses = torch.zeros(n, dtype=torch.float64, device=table.device)
        self._parts = torch.zeros(table.chunks, dtype=torch.float64, device=table.device)
        self._squared = torch.zeros_like(self._parts)
        self._any = torch.ones(len(StepNumbers._fields), dtype=torch.float64, device=table.device)
        self._still = torch.zeros(3, dtype=torch.float64, device=table.device)
        self._inverse: tuple[tuple[float | None, ...], torch.Tensor] = ((), self._still)
        self._at: dict[tuple[str, torch.dtype], PointerArray] = {}

    def gradients(
        self, found: Tensors, out: Tensors, base: Tensors, scores: Tensors, slopes: Sequence[torch.Tensor | None],
        numbers: torch.Tensor,
    ) -> None:  # fmt: skip
        """out <- G ⊙ W (⊙ slope) + λ σ(S - shift)(1 - σ(S - shift)) / (weights · matrices), for all matrices.

        ``found`` are the G, float32 (then they may be ``out``) or bf16. The report has means and squares. Raises
        UnsupportedSizesError.
        """
        table, half = self.table, found[0].dtype == torch.bfloat16
        programs.gradients[(table.chunks,)](
            self._addresses("found", found), self._addresses("out", out), self._addresses("base", base),
            self._addresses("scores", scores), self._addresses("slopes", slopes), table.matrix, table.turn, table.weights,
            numbers, self._parts, self._squared, len(table.sizes), half=half,
            sloped=any(slope is not None for slope in slopes), **table.layout,
        )  # fmt: skip
        self._add_up(self._parts, self._means, mean=True)
        self._add_up(self._squared, self._squares, mean=False)

    def clip(
        self, numbers: torch.Tensor, others: torch.Tensor | None = None, losses: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Complete the report by what :meth:`gradients` found, by the norms of ``others``' gradients and by ``losses``.

        Both float64 [any]. Returns the verdict, the end of the report: norm, clip, alive.
        """
        others, losses = (self._still[:0] if given is None else given for given in (others, losses))
        programs.clip[(1,)](
            self._squares, len(self.table.sizes), others, others.numel(), losses, losses.numel(), numbers, self.clipping,
            block=_LANES, num_warps=1, enable_fp_fusion=False,
        )  # fmt: skip
        return self.clipping

    def adam(
        self, scores: Tensors, gradients: Tensors, first: Tensors, second: Tensors, numbers: torch.Tensor,
        temperatures: Sequence[float | None],
    ) -> None:  # fmt: skip
        """One Adam update in place as the verdict has it; masses of the new scores where a temperature p is given."""
        given = [("scores", scores), ("out", gradients), ("first", first), ("second", second)]
        self._adam([self._addresses(role, tensors) for role, tensors in given], numbers, self.clipping, temperatures)

    def compute_masses(self, scores: Tensors, temperatures: Sequence[float | None]) -> None:
        """The masses of the scores as they are: by the same program as in :meth:`adam`, so to the last bit the same."""
        self._adam([self._addresses("scores", scores)] * 4, self._any, self._still, temperatures)

    def _adam(
        self, addresses: list[torch.Tensor], numbers: torch.Tensor, verdict: torch.Tensor,
        temperatures: Sequence[float | None],
    ) -> None:  # fmt: skip
        table = self.table
        programs.adam[(table.chunks,)](
            *addresses, table.matrix, table.turn, table.weights, numbers, verdict, self._inverses(temperatures), self._parts,
            **table.layout,
        )  # fmt: skip
        self._add_up(self._parts, self.masses, mean=True)

    def _add_up(self, parts: torch.Tensor, out: torch.Tensor, *, mean: bool) -> None:
        table = self.table
        programs.add_up[(len(table.sizes),)](
            parts, table.first, table.weights, out, mean=mean, block=_LANES, num_warps=4, enable_fp_fusion=False
        )

    def _inverses(self, temperatures: Sequence[float | None]) -> torch.Tensor:
        if self._inverse[0] != tuple(temperatures):
            inverse = [0.0 if p is None else 1 / p for p in temperatures]
            self._inverse = (tuple(temperatures), to_device_async(inverse, torch.float32, self.table.device))
        return self._inverse[1]

    def _addresses(self, role: str, tensors: Sequence[torch.Tensor | None]) -> torch.Tensor:
        dtype = next((tensor.dtype for tensor in tensors if tensor is not None), torch.float32)
        kind = dtype if role == "found" and dtype == torch.bfloat16 else torch.float32
        return self._at.setdefault((role, kind), PointerArray(self.table, kind)).update(tensors)
