"""Results of exports in ``exports.json``: files, agreement, latencies and failures of each (``docs/reference/exports.md``).

Written by :mod:`pruning.export.run` and :mod:`pruning.export.child_process`, read by the reports. Torch-free.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from pruning.files import atomic_write
from pruning.spec.export_formats import Format

FILE = "exports.json"


class Latency(BaseModel):
    """One size of a batch."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    batch: int
    tokens: int
    before_ms: float
    """Milliseconds of the masked dense model in PyTorch, float32 (half precision where the export has it too), on the same
    threads."""
    after_ms: float
    factor: float
    """``before_ms / after_ms`` of a pair of calls, the median of all pairs; above 1 the export is faster."""


class Failure(BaseModel):
    """Failure of an export."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    message: str
    retryable: bool = False
    """Whether another attempt may succeed: memory or disk ran out, or a server was unreachable."""


class ExportEntry(BaseModel):
    """One export."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Format
    artifact: str | None = None
    """File or folder name; None where the export failed."""
    bytes: int | None = None
    """Size of that file, or of all files in the folder."""
    verdict: str
    """A sentence about speed, or why the export failed."""
    compacted: bool = False
    """Whether dead neurons, dimensions and heads were removed first, which changes no logit."""
    equal: float | None = None
    """Share of the checked rows with the dense model's prediction (numbers: within 0.01; spans: start and end)."""
    max_difference: float | None = None
    """Largest difference between two logits."""
    rows: int = 0
    """Rows checked."""
    checked_on: Literal["validation", "random"] | None = None
    """Rows of the task, or random tokens where its data set is not available."""
    device: str = "cpu"
    """What the latencies were measured on: ``cpu``, or the name of the GPU."""
    latency: list[Latency] = []
    error: Failure | None = None


class Exports(BaseModel):
    """The file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threads: int
    """Threads of the processor in the measurements of both models."""
    exports: list[ExportEntry]


def failed_entry(format_: Format, code: str, message: str, *, retryable: bool = False) -> ExportEntry:
    """The entry of an export that could not be made."""
    return ExportEntry(format=format_, verdict=message, error=Failure(code=code, message=message, retryable=retryable))


def write(folder: Path, threads: int, entries: Sequence[ExportEntry]) -> Path:
    """Write ``exports.json`` so that it is complete or absent."""
    path = folder / FILE
    with atomic_write(path) as draft:
        draft.write_text(Exports(threads=threads, exports=list(entries)).model_dump_json(indent=1) + "\n")
    return path


def read(folder: Path) -> Exports | None:
    """The file in ``folder``, if it is there."""
    path = folder / FILE
    return Exports.model_validate_json(path.read_bytes()) if path.is_file() else None
