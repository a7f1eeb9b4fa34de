"""Numbers of a finished run: the job's result, and the content of ``report.json``.

Called by :mod:`pruning.training.finalize` once the masks are written.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pruning.evaluation.evaluate import Evaluation, merge_metrics
from pruning.formats import trained_weights
from pruning.masking.signal_meter import NOISE_FLOOR
from pruning.models.loading import checkpoint_bytes
from pruning.report.analysis import head_densities, matrix_table, split_scores
from pruning.training.history import COLUMNS, History
from pruning.training.run import Run, library_versions

FORMAT, VERSION = "espalier-report", 1
MASK = "mask.safetensors"
COMPACT = "mask.espalier"
EXPORTS = "exports.json"
"""File of the artifacts folder with what the exports measured; absent where no export was requested."""


@dataclass(frozen=True)
class Kept:
    """Which mask is delivered."""

    step: int
    """Steps after which it was selected."""
    last_metrics: dict[str, float]
    """Metrics of the mask after the last step, on the first validation split."""


def job_result(
    run: Run, before: list[Evaluation], final: list[Evaluation], folder: Path, seconds: float, kept: Kept
) -> dict[str, Any]:
    """The job's result: metrics before and after, density, sizes and seconds; ``folder`` holds the artifacts."""
    weights = folder / trained_weights.WEIGHTS
    return {
        "primary_metric": run.task.metrics[0],
        "before": merge_metrics(before, run.validation),
        "final": merge_metrics(final, run.validation),
        "remaining": run.kept_weights / run.matrices.total,
        "sparsity": 1 - run.kept_weights / run.matrices.total,
        "sparsity_asked": _sparsity_asked(run),
        "kept_weights": run.kept_weights,
        "masked_weights": run.matrices.total,
        "weights_changed": weights.is_file(),
        "extra_parameters": run.extras.count,
        "extra_share": run.extras.count / run.matrices.total,
        "skipped_rows": sum(bad.count for bad in run.skipped),
        "steps": run.total_steps,
        "kept_step": kept.step,
        "last": kept.last_metrics if run.spec.keep == "best" else None,
        "seconds": round(seconds, 3),
        "mask_bytes": (folder / MASK).stat().st_size,
        "compact_mask_bytes": (folder / COMPACT).stat().st_size,
        "weights_bytes": weights.stat().st_size if weights.is_file() else 0,
        "checkpoint_bytes": checkpoint_bytes(run.model_folder.path),
    }


def _sparsity_asked(run: Run) -> float | None:
    if run.spec.method_info.sparsity == "emerges":
        return None
    return run.matrices.own.overall if run.matrices.own is not None else run.spec.sparsity


def report_data(
    run: Run,
    history: History,
    final: Sequence[Evaluation],
    result: dict[str, Any],
    masks: dict[str, npt.NDArray[np.bool_]],
    folder: Path,
) -> dict[str, Any]:
    """Content of ``report.json``, ready for JSON: numbers that are not finite are null.

    ``result`` is the job's result, ``masks`` the final masks (bool [out, in] by module path), ``folder`` the artifacts
    written so far.
    """
    numbers: dict[str, Any] = _finite(
        {
            "format": FORMAT,
            "version": VERSION,
            "model": {
                "name": run.spec.model,
                "revision": run.model_folder.revision,
                "digest": run.base_digest,
                "checkpoint_bytes": result["checkpoint_bytes"],
            },
            "task": {
                "name": run.task.name,
                "kind": run.task.kind,
                "metrics": list(run.task.metrics),
                "labels": list(run.task.class_names),
            },
            "data": {
                "train_split": run.task.train_split,
                "validation_splits": list(run.task.validation_splits),
                "validation_rows": len(run.validation[0].rows.labels),
                "held_out_share": run.task.validation_share,
                "class_weights": None if run.class_weights is None else run.class_weights.table(run.task),
                "skipped": [{"where": bad.where, **bad.numbers()} for bad in run.skipped],
            },
            "method": run.spec.method,
            "start": run.start.numbers() if run.start else None,
            "result": result,
            "warnings": [*history.warnings.values()],
            "curves": _curves(history),
            "evaluations": history.evaluations,
            "matrices": _matrices(run, masks),
            "heads": _heads(run, masks),
            "scores": [split_scores(*pair, run.task) for pair in zip(final, run.validation, strict=True)],
            "sizes": _sizes(folder),
            "exports": _exports(folder / EXPORTS),
            "cost": {
                "seconds": result["seconds"],
                "steps": run.total_steps,
                "device": str(run.device),
                "train_rows": len(run.train),
                "rows_per_step": run.spec.batch_size * run.spec.gradient_accumulation,
            },
            "spec": run.spec.model_dump(mode="json"),
            "versions": library_versions(),
        }
    )
    return numbers


def _curves(history: History) -> dict[str, Any]:
    rows = history.rows()
    columns: dict[str, Any] = {name: [row[i] for row in rows] for i, name in enumerate(COLUMNS)}
    signal = {"step": [step for step, _ in history.signal], "value": [value for _, value in history.signal]}
    measured = {"signal_to_noise": signal, "noise_floor": NOISE_FLOOR}
    return {"stride": history.stride, "resumed": history.resumed, **columns, **measured}


def _matrices(run: Run, masks: dict[str, npt.NDArray[np.bool_]]) -> list[dict[str, Any]]:
    """The table of matrices; with ``sparsity_by`` also ``density_asked`` and ``asked_by``, the pattern: null where none decides."""
    table, own = matrix_table(masks), run.matrices.own
    if own is None:
        return table
    for row in table:
        asked = own.by_path.get(row["path"])
        row["density_asked"] = None if asked is None else round(1 - asked, 12)
        row["asked_by"] = own.pattern_of.get(row["path"])
    return table


def _heads(run: Run, masks: dict[str, npt.NDArray[np.bool_]]) -> list[dict[str, Any]]:
    config: Any = run.head.get_submodule("model").config
    heads = getattr(config, "num_attention_heads", None)
    if not isinstance(heads, int):
        return []
    return [asdict(head) for head in head_densities(masks, heads, getattr(config, "num_key_value_heads", None))]


def _sizes(folder: Path) -> list[dict[str, Any]]:
    """Sizes of the files of this run, without reports that an earlier attempt left."""
    files = sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("report."))
    return [{"artifact": file.name, "bytes": file.stat().st_size} for file in files]


def _exports(file: Path) -> list[dict[str, Any]] | None:
    if not file.is_file():
        return None
    exports: list[dict[str, Any]] = json.loads(file.read_text("utf-8"))["exports"]
    return exports


def _finite(value: Any) -> Any:
    """The value with None for every number that JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
