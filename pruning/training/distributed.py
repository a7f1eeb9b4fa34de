"""Process group of a run on several devices: one process per device, their shards of each batch, and their collectives.

Every rank holds the whole model and all scores, takes its shard of each micro-batch, and sums its gradients with those of the
others before the update. Scores, selection and schedule are then the same on all ranks, bit by bit, which is checked at every
checkpoint. Rank 0 is the main process: it alone reports, evaluates, and writes checkpoints and artifacts.

:class:`ProcessGroup` is that of a single process, for which all of this does nothing; :class:`DistributedGroup` is that of the
processes that :mod:`pruning.cli.torchrun` starts. This is the only module that reads torchrun's environment (``RANK`` and
others).
"""

import os
import zlib
from collections.abc import Iterable, Sequence
from datetime import timedelta

import torch
from torch import distributed
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from pruning.errors import PeerLostError, PermanentError
from pruning.events import ErrorEvent, Event

_TIMEOUT = timedelta(days=1)
"""Ranks wait while rank 0 evaluates. A hang is noticed by the supervisor, which then receives no event."""


class ProcessGroup:
    """The group of a run of one process: no collectives."""

    rank = 0
    world_size = 1

    @property
    def is_main(self) -> bool:
        """Whether this process reports, evaluates and writes."""
        return self.rank == 0

    @property
    def device(self) -> torch.device:
        """Device on which this process computes."""
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def shard(self, rows: Sequence[int]) -> Sequence[int]:
        """This process's rows of a micro-batch; at least one."""
        return rows

    def scale_loss(self, batch: dict[str, torch.Tensor], terms: Sequence[int]) -> dict[str, torch.Tensor]:
        """``batch``, made of the ``shard`` of some rows, with the ``weight`` of its mean loss in that of all of them.

        ``terms``: how many terms each of the rows adds to the mean."""
        return batch

    def begin_step(self, seed: int, step: int) -> None:
        """Before the forward passes of a step: every rank gets dropout masks of its own."""

    def all_reduce_sum(self, losses: list[float], parameters: Iterable[torch.Tensor]) -> list[float]:
        """Sum every ``grad`` over all ranks, in place; returns the sums of the (weighted) losses. Raises PeerLostError."""
        return losses

    def any_rank(self, flag: bool) -> bool:
        """Whether ``flag`` is set on any rank; the result is the same on all of them. Raises PeerLostError."""
        return flag

    def require_same(self, what: str, *tensors: torch.Tensor) -> None:
        """Raises PermanentError, on all ranks, unless all hold the same bits in ``tensors``; PeerLostError."""

    def is_reporter(self, event: Event) -> bool:
        """Whether this process writes ``event``."""
        return True

    def close(self) -> None:
        """Leave the group at the end of the run."""


SINGLE_PROCESS = ProcessGroup()


class DistributedGroup(ProcessGroup):
    """The group of several processes on one host, this one being a rank of it."""

    def __init__(self) -> None:
        """Join the other ranks, by the environment that torchrun has set."""
        if torch.cuda.is_available():
            self._device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
            torch.cuda.set_device(self._device)
        else:
            self._device = torch.device("cpu")
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # one host; its name may resolve elsewhere, or not at all
        self._store, self.rank, self.world_size = next(rendezvous("env://", timeout=_TIMEOUT))
        distributed.init_process_group(
            "nccl" if self._device.type == "cuda" else "gloo",
            store=PrefixStore("ranks", self._store),
            rank=self.rank,
            world_size=self.world_size,
            timeout=_TIMEOUT,
        )

    @property
    def device(self) -> torch.device:
        return self._device

    def shard(self, rows: Sequence[int]) -> Sequence[int]:
        """Every ``world_size``-th row, so that shards differ by one row at most; where none is left the first row, unweighted."""
        return rows[self.rank :: self.world_size] or rows[:1]

    def scale_loss(self, batch: dict[str, torch.Tensor], terms: Sequence[int]) -> dict[str, torch.Tensor]:
        weight = sum(terms[self.rank :: self.world_size]) / max(sum(terms), 1)
        return {**batch, "weight": torch.tensor(weight, dtype=torch.float64, device=self._device)}

    def begin_step(self, seed: int, step: int) -> None:
        """Seed of dropout, a function of seed, rank and step alone, so that no rank's random state needs to be kept for a
        resumption."""
        torch.manual_seed(zlib.crc32(f"{seed} {self.rank} {step}".encode()))

    def all_reduce_sum(self, losses: list[float], parameters: Iterable[torch.Tensor]) -> list[float]:
        sums = torch.tensor(losses, dtype=torch.float64, device=self._device)
        gradients = []
        for parameter in parameters:
            if parameter.grad is None:  # the loss does not depend on it; the other ranks must not wait for it
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
        self._reduce([sums, *gradients], distributed.ReduceOp.SUM)
        return [float(loss) for loss in sums]

    def any_rank(self, flag: bool) -> bool:
        flags = torch.tensor([int(flag)], device=self._device)
        self._reduce([flags], distributed.ReduceOp.MAX)
        return bool(flags)

    def require_same(self, what: str, *tensors: torch.Tensor) -> None:
        sums = torch.stack([_checksum(tensor) for tensor in tensors]).to(self._device)
        ends = torch.stack([sums, -sums])
        self._reduce([ends], distributed.ReduceOp.MAX)
        if not torch.equal(ends[0], -ends[1]):
            raise PermanentError(
                f"the {self.world_size} processes of this run disagree on {what}; set devices to 1, or give the worker "
                "devices of one kind",
                code="ranks_differ",
                param="devices",
            )

    def is_reporter(self, event: Event) -> bool:
        """Rank 0 reports; of a failure the first rank that has one, and no other."""
        if not isinstance(event, ErrorEvent):
            return self.is_main
        try:
            return bool(self._store.add("failures", 1) == 1)
        except RuntimeError:  # the rank that stored the count has ended, and has reported its own failure
            return False

    def close(self) -> None:
        distributed.destroy_process_group()

    def _reduce(self, tensors: list[torch.Tensor], how: "distributed.ReduceOp.RedOpType") -> None:
        try:
            for work in [distributed.all_reduce(tensor, how, async_op=True) for tensor in tensors]:
                work.wait()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as fault:  # the backends' errors have no narrower class in common
            raise PeerLostError(str(fault)) from fault


def join_process_group(devices: int) -> ProcessGroup:
    """The group of a run on ``devices`` devices, this process being a rank. Raises PermanentError when there are fewer devices."""
    if devices == 1:
        return SINGLE_PROCESS
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if started != devices:
        raise PermanentError(
            f"the spec asks for {devices} devices, and {started} processes were started; start as many, or set devices to "
            f"{started}",
            code="devices_missing",
            param="devices",
        )
    if torch.cuda.is_available() and torch.cuda.device_count() < devices:
        raise PermanentError(
            f"the spec asks for {devices} devices, and {torch.cuda.device_count()} can be seen here; lower devices",
            code="devices_missing",
            param="devices",
        )
    return DistributedGroup()


def _checksum(tensor: torch.Tensor) -> torch.Tensor:
    """A checksum: the sum of a tensor's bit patterns."""
    whole = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()]
    return tensor.detach().contiguous().view(whole).sum(dtype=torch.int64)
