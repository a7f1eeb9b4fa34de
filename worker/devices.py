"""Device allocation: the GPUs (or CPU shares) of this host that one worker assigns to its jobs.

A job that requests k devices gets k of them exclusively, and its trainer sees no others. They are found without torch, which
takes seconds to load and would hold memory on every GPU. Made by ``worker.context``; acquired by ``worker.run.loop``, released by
``worker.run.supervisor``.
"""

import logging
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_DRIVER = Path("/proc/driver/nvidia/gpus")
_NVIDIA_SMI_SECONDS = 30
"""A driver that is not in use takes some seconds to load."""
log = logging.getLogger(__name__)


class Devices:
    """Devices by name, each with one share per job that may use it at a time. Used by one thread at a time."""

    def __init__(self, gpus: Sequence[str], shares: int) -> None:
        """``shares`` are distributed over the GPUs in turn; where there is no GPU, every share is a device of its own."""
        self._gpus = bool(gpus)
        self._free: dict[str, int] = {}
        for i in range(shares):
            name = gpus[i % len(gpus)] if gpus else f"cpu:{i}"
            self._free[name] = self._free.get(name, 0) + 1

    @property
    def total(self) -> int:
        """Most devices of a job when no other runs."""
        return len(self._free)

    @property
    def free(self) -> int:
        """Most devices of a job now."""
        return sum(1 for shares in self._free.values() if shares > 0)

    def acquire(self, count: int) -> tuple[str, ...]:
        """``count`` devices, those with the most free shares. Raises ValueError when fewer are free."""
        best = sorted((name for name, shares in self._free.items() if shares > 0), key=lambda name: -self._free[name])
        if count > len(best):
            raise ValueError(f"{count} devices were requested, {len(best)} are free")
        for name in best[:count]:
            self._free[name] -= 1
        return tuple(best[:count])

    def release(self, names: Sequence[str]) -> None:
        """Return the devices of ``acquire``."""
        for name in names:
            self._free[name] += 1

    def visible(self, names: Sequence[str]) -> str | None:
        """The ``CUDA_VISIBLE_DEVICES`` of a trainer that has these; None on a host without GPUs."""
        return ",".join(names) if self._gpus else None


def find_gpus(environment: Mapping[str, str]) -> list[str]:
    """Names of the GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` takes them; empty where there is none.

    The GPUs in the variable, if it is set; else those that ``nvidia-smi`` lists, else those of the driver's folder.
    """
    given = environment.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        names = [name.strip() for name in given.split(",")]
        end = next((i for i, name in enumerate(names) if name in ("", "-1", "NoDevFiles")), len(names))
        return names[:end]  # as CUDA reads it: names after an invalid one do not count
    tool = shutil.which("nvidia-smi", path=environment.get("PATH"))
    if tool is not None:
        try:
            listed = subprocess.run(
                [tool, "--query-gpu=uuid", "--format=csv,noheader"],
                capture_output=True,
                text=True,
                timeout=_NVIDIA_SMI_SECONDS,
                check=True,
                stdin=subprocess.DEVNULL,
            )
            return [line.strip() for line in listed.stdout.splitlines() if line.strip()]
        except (OSError, subprocess.SubprocessError) as error:
            log.warning("nvidia-smi fails, the driver's folder is read instead: %s", error)
    return [str(i) for i, _ in enumerate(_DRIVER.iterdir())] if _DRIVER.is_dir() else []
