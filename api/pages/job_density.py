"""Heat maps of a finished job: which share of its weights every matrix and every attention head keeps.

Called by ``api.pages.job``. The numbers are those of the artifact ``report.json``, which the trainer wrote.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from service.artifacts import store
from service.db.engine import Database
from service.db.models import Artifact

REPORT = "report.json"
_MAX_BYTES = 16 * 1024 * 1024
_LEVELS = 10
"""Colours of the scale; ``style.css`` has one class for each."""


@dataclass(frozen=True)
class HeatMap:
    """A table of densities, coloured by their share of the largest."""

    title: str
    down: str
    """Meaning of the rows."""
    columns: Sequence[str]
    """Layers."""
    rows: Sequence[tuple[str, Sequence[tuple[float, int] | None]]]
    """Name, and for every column density and level, 0 to 10; None for empty cells."""


def heat_maps(database: Database, report: Artifact) -> list[HeatMap]:
    """Densities by matrix, and by head where the heads are known; empty for a report that cannot be read. Raises
    StorageUnavailableError."""
    if report.size > _MAX_BYTES:
        return []
    return _of_report(report.sha256, _Content(database, report.id))


@dataclass(frozen=True)
class _Content:
    """The bytes of an artifact; the cache is keyed by the digest alone."""

    database: Database
    artifact_id: int

    def __eq__(self, _: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def read(self) -> bytes:
        return b"".join(store.iter_bytes(self.database, self.artifact_id))


@lru_cache(maxsize=32)
def _of_report(_digest: str, content: _Content) -> list[HeatMap]:
    numbers: dict[str, Any] = json.loads(content.read())
    matrices, heads = numbers.get("matrices") or [], numbers.get("heads") or []
    if not matrices:
        return []
    top = max(row["density"] for row in (*matrices, *heads)) or 1.0
    maps = [_map("By matrix", "matrix", [(row["kind"], row["layer"], row["density"]) for row in matrices], top)]
    if heads:
        by_head = [(f"head {row['head']}", row["layer"], row["density"]) for row in heads]
        maps.append(_map("By attention head: query, key, value and output weights together", "head", by_head, top))
    return maps


def _map(title: str, down: str, cells: Sequence[tuple[str, str, float]], top: float) -> HeatMap:
    names, layers = list(dict.fromkeys(cell[0] for cell in cells)), list(dict.fromkeys(cell[1] for cell in cells))
    found = {(name, layer): (density, math.ceil(_LEVELS * density / top)) for name, layer, density in cells}
    rows = [(name, [found.get((name, layer)) for layer in layers]) for name in names]
    return HeatMap(title, down, layers, rows)
