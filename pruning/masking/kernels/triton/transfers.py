"""Copies between host and GPU that neither side waits for: numbers to the device, and results read back later.

Called by the launchers of this package and by :mod:`pruning.training.gpu_pruner`, whose host runs one step ahead of the device.
On the CPU, for tests, there is nothing to wait for.
"""

from collections.abc import Sequence

import torch


def to_device_async(values: Sequence[float], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Numbers as a tensor on the device; the host waits neither for the copy nor for work before it."""
    host = torch.tensor(values, dtype=dtype, pin_memory=device.type == "cuda")  # torch keeps the memory until it is read
    return host.to(device, non_blocking=True)


class AsyncReadback:
    """A copy of ``parts`` (each [any], of any dtype that float64 holds) as they are at this point of the device's work.

    Only :meth:`read` waits.
    """

    def __init__(self, *parts: torch.Tensor) -> None:
        self._lengths = [part.numel() for part in parts]
        found = torch.cat([part.double() for part in parts])
        self._event: torch.cuda.Event | None = None
        if found.device.type == "cuda":
            # pinned, or the copy would be synchronous; torch reuses such memory in the next step
            self._host = torch.empty(found.shape, dtype=found.dtype, pin_memory=True)
            self._host.copy_(found, non_blocking=True)
            self._event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
            self._event.record()
        else:
            self._host = found

    def read(self) -> list[list[float]]:
        """The numbers of each part; waits until the device has copied them."""
        if self._event is not None:
            self._event.synchronize()
        return [part.tolist() for part in torch.split(self._host, self._lengths)]
