"""Numbers that a host wants to know from a GPU, without waiting until they are there: the counterpart of ``upload``."""

import torch


class AsyncReadback:
    """A copy of ``parts`` (each [any], of any dtype that float64 holds) as they are at this point of the device's work.

    Nothing waits before :meth:`read`. On the CPU there is nothing to wait for.
    """

    def __init__(self, *parts: torch.Tensor) -> None:
        self._lengths = [part.numel() for part in parts]
        found = torch.cat([part.double() for part in parts])
        self._event: torch.cuda.Event | None = None
        if found.device.type == "cuda":
            # pinned, or the copy would wait; torch keeps such memory for the next step
            self._host = torch.empty(found.shape, dtype=found.dtype, pin_memory=True)
            self._host.copy_(found, non_blocking=True)
            self._event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
            self._event.record()
        else:
            self._host = found

    def read(self) -> list[list[float]]:
        """The numbers of each part, once the device has come so far."""
        if self._event is not None:
            self._event.synchronize()
        return [part.tolist() for part in torch.split(self._host, self._lengths)]
