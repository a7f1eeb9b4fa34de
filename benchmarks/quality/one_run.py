"""One run in a process of its own: trains a cell, evaluates it on held-out rows, prints its row.

Started by :mod:`benchmarks.quality.scheduler` as ``python -m benchmarks.quality one JSON``; prints one JSON object a line,
``{"progress": text}`` and at the end ``{"row": …}``.
"""

import json
import shutil
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from benchmarks.quality import heldout, pruning_run, rows
from benchmarks.quality.cell import Cell, Order
from benchmarks.quality.grid import sources_for
from benchmarks.quality.outcome import Notify, Outcome, rows_until
from benchmarks.quality.recipes import Kind, Recipe
from benchmarks.quality.rivals import dense, lora, probe
from benchmarks.quality.rivals.inputs import reading_spec
from pruning.cli.environment import silence_libraries
from pruning.data.batching import BatchStream
from pruning.formats import trained_weights
from pruning.sources import Sources
from pruning.training.inputs import load_inputs
from pruning.training.report_data import COMPACT


def main(text: str) -> None:
    """Run the order in ``text`` and print its row."""
    order = Order.model_validate_json(text)
    silence_libraries()
    commit = rows.commit()  # of the code as it is loaded, not as it is when the run ends
    with tempfile.TemporaryDirectory(prefix="quality-") as name:
        row = execute(order, Path(name), commit, lambda progress: _say({"progress": progress}))
    _say({"row": row})


def execute(order: Order, folder: Path, commit: str, notify: Notify) -> rows.Row:
    """The row of a finished run; ``folder`` is empty. Raises what the trainer raises."""
    cell = order.cell
    kind = Recipe.from_text(cell.recipe).kind
    sources = sources_for(cell.model, order.models_dirs, order.datasets_dir, folder / "tokens")
    stream = _stream(cell, kind, sources)
    outcome = _run(cell, kind, sources, folder / "work", order.evaluations, stream, notify)
    if order.masks_to is not None and kind == "pruning":
        _keep_mask(folder / "work" / "artifacts", order.masks_to / cell.slug)
    seen = set(stream.seen(cell.steps))
    task = reading_spec(cell).task_info
    count = heldout.write(task, sources, seen, folder / "heldout", order.heldout_rows)
    began = time.perf_counter()
    held_out = Sources(sources.models_dir, folder / "heldout", hub=False)
    found = outcome.evaluate(held_out) if count else None
    notify(f"held-out rows: {count or 'none left'} {found or ''} in {time.perf_counter() - began:.0f} s")
    return {
        **cell.model_dump(mode="json", exclude={"sparsity", "settings"}),
        "sparsity": cell.sparsity,
        "sparsity_got": outcome.sparsity,
        "rows_seen": rows_until(stream, cell.steps),
        "distinct_rows": len(seen),
        **_measured(outcome),
        "heldout": found,
        "heldout_rows": count,
        "settings": cell.settings,
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "torch": torch.__version__,
        "commit": commit,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _run(cell: Cell, kind: Kind, sources: Sources, work: Path, evaluations: int, stream: BatchStream, notify: Notify) -> Outcome:
    if kind == "pruning":
        return pruning_run.run(cell, sources, work, evaluations, stream, notify)
    if kind == "full":
        return dense.run(cell, sources, evaluations, notify)
    if kind == "lora":
        return dense.run(cell, sources, evaluations, notify, lora.adapters)
    return probe.run(cell, sources, notify)


def _stream(cell: Cell, kind: Kind, sources: Sources) -> BatchStream:
    """Batches of the run: which rows it sees. The tokens that this makes are kept for the run."""
    spec = cell.spec() if kind == "pruning" else reading_spec(cell)
    inputs = load_inputs(spec, sources, lambda event: None, torch.device("cpu"))
    return BatchStream(inputs.train.lengths, cell.batch, cell.seed)


def _keep_mask(artifacts: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in (COMPACT, trained_weights.WEIGHTS):
        if (artifacts / name).exists():
            shutil.copy(artifacts / name, folder)


def _measured(outcome: Outcome) -> dict[str, Any]:
    values = asdict(outcome)
    return {name: values[name] for name in values if name not in ("evaluate", "sparsity")}


def _say(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)
