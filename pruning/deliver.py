"""The end of a run: final masks, their evaluation, and the files a user downloads."""

import hashlib
import json
from pathlib import Path

import numpy as np

from pruning import mask_file
from pruning.evaluate import Evaluation, evaluate
from pruning.events import ArtifactEvent, FinishedEvent, PhaseEvent
from pruning.metrics import predictions_of
from pruning.models import checkpoint_bytes
from pruning.prepare import Report, Run, library_versions

MASK = "mask.safetensors"
PREDICTIONS = "predictions.jsonl"


def deliver(run: Run, before: Evaluation, work: Path, report: Report, *, seconds: float) -> None:
    """Select the final masks from the final scores, evaluate them, write the artifacts, say that the run succeeded.

    ``seconds`` is what the run took until here.
    """
    report(PhaseEvent(phase="evaluating", message="the final mask"))
    run.pruner.select(run.spec.remaining)
    final = evaluate(run, "final", run.total_steps, report)
    report(PhaseEvent(phase="saving"))
    folder = work / "artifacts"
    folder.mkdir(parents=True, exist_ok=True)
    mask_file.write(folder / MASK, _masks(run), mask_info(run, final))
    _write_predictions(folder / PREDICTIONS, run, final)
    report(announce(folder / MASK, "application/octet-stream"))
    report(announce(folder / PREDICTIONS, "application/jsonl"))
    kept = sum(layer.kept for layer in run.matrices.layers.values())
    report(
        FinishedEvent(
            metrics={
                "primary_metric": run.task.metrics[0],
                "before": before.metrics,
                "final": final.metrics,
                "remaining": kept / run.matrices.total,
                "sparsity": 1 - kept / run.matrices.total,
                "kept_weights": kept,
                "masked_weights": run.matrices.total,
                "steps": run.total_steps,
                "seconds": round(seconds, 3),
                "mask_bytes": (folder / MASK).stat().st_size,
                "checkpoint_bytes": checkpoint_bytes(run.located.path),
            }
        )
    )


def _masks(run: Run) -> mask_file.Masks:
    return {path: mask.cpu().numpy() for path, mask in run.matrices.masks.items()}


def mask_info(run: Run, final: Evaluation) -> mask_file.MaskInfo:
    """The metadata of a run's mask."""
    layers = run.matrices.layers
    return mask_file.MaskInfo(
        base_model=run.spec.model,
        base_revision=run.located.revision,
        base_digest=run.base_digest,
        task=run.task.name,
        kind=run.task.kind,
        head=run.spec.head,
        label_words=run.spec.label_words,
        label_ids=tuple(run.label_ids),
        max_length=run.max_length,
        shapes={path: (layer.out_features, layer.in_features) for path, layer in layers.items()},
        kept={path: layer.kept for path, layer in layers.items()},
        metrics=final.metrics,
        spec=run.spec,
        versions=library_versions(),
    )


def _write_predictions(path: Path, run: Run, final: Evaluation) -> None:
    """One JSON object per validation row, in their order: row, label, prediction, logits."""
    labels = run.validation.labels.tolist()
    predictions = predictions_of(run.task, final.logits).tolist()
    with path.open("w", encoding="utf-8") as lines:
        for i, (label, prediction) in enumerate(zip(labels, predictions, strict=True)):
            logits = [float(np.float32(value)) for value in final.logits[i]]
            row = {"row": i, "label": label, "prediction": prediction, "logits": logits}
            lines.write(json.dumps(row) + "\n")


def announce(path: Path, media_type: str) -> ArtifactEvent:
    """The event that says a file is complete, with its size and digest."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return ArtifactEvent(name=path.name, media_type=media_type, bytes=path.stat().st_size, sha256=sha256)
