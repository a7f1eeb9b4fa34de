"""Memory of other processes, from ``/proc``: resident now, and the highest since a moment.

Called by ``benchmarks/service.py``.
"""

from pathlib import Path


def child_named(parent: int, name: str) -> int:
    """Id of the child of ``parent`` with ``name`` in its command line. Raises SystemExit where there is none."""
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
            command = (status.parent / "cmdline").read_bytes().decode()
        except OSError:  # it ended during the search
            continue
        if int(fields["PPid"]) == parent and name in command:
            return int(status.parent.name)
    raise SystemExit(f"no process {name} under {parent}")


def resident(pid: int) -> int:
    """Resident memory in KiB."""
    return _memory(pid, "VmRSS")


def _memory(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])


class PeakMemory:
    """The highest resident memory from now on: the kernel keeps it, and resets it on request."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        Path(f"/proc/{pid}/clear_refs").write_text("5")

    def stop(self) -> int:
        """In KiB."""
        return _memory(self.pid, "VmHWM")
