"""A report's numbers without a run: those of a BERT-base, and what a test changes in them."""

from copy import deepcopy
from dataclasses import asdict
from functools import cache
from typing import Any

import numpy as np

from pruning.report.analysis import head_densities, matrix_table
from pruning.spec.schema import PruningSpec

KINDS = {
    "attention.self.query": (768, 768),
    "attention.self.key": (768, 768),
    "attention.self.value": (768, 768),
    "attention.output.dense": (768, 768),
    "intermediate.dense": (3072, 768),
    "output.dense": (768, 3072),
}


def masks(layers: int = 12, density: float = 0.1) -> dict[str, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Random masks of a BERT-base; the first row of every query matrix is empty."""
    random = np.random.default_rng(0)
    made = {}
    for layer in range(layers):
        for kind, shape in KINDS.items():
            mask = random.random(shape, dtype=np.float32) < density
            if kind.endswith("query"):
                mask[0] = False
            made[f"bert.encoder.layer.{layer}.{kind}"] = mask
    return made


@cache
def _tables() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    made = masks()
    return matrix_table(made), [asdict(head) for head in head_densities(made, 12)]


def numbers(**changes: Any) -> dict[str, Any]:
    """What ``collect`` would give, with some of it changed."""
    matrices, heads = _tables()
    steps = list(range(1, 1001))
    result = {
        "primary_metric": "accuracy",
        "before": {"accuracy": 0.51},
        "final": {"accuracy": 0.9151},
        "remaining": 0.1,
        "sparsity_asked": 0.9,
        "kept_weights": 8_493_465,
        "masked_weights": 84_934_656,
        "steps": 1000,
        "extra_parameters": 121_344,
        "extra_share": 121_344 / 84_934_656,
        "weights_bytes": 505_000,
        "compact_mask_bytes": 5_000_000,
        "checkpoint_bytes": 440_449_768,
    }
    metrics = {"accuracy": 0.9151}
    return {
        "format": "espalier-report",
        "version": 1,
        "model": {"name": "bert-base", "revision": None, "digest": "0" * 64, "checkpoint_bytes": 440_449_768},
        "task": {"name": "sst2", "kind": "classification", "metrics": ["accuracy"], "labels": ["negative", "positive"]},
        "method": "smp-s",
        "result": result,
        "warnings": [],
        "curves": {
            "stride": 2,
            "resumed": [500],
            "step": steps,
            "loss": [1 / step for step in steps],
            "grad_norm": [1.0 for _ in steps],
            "regularizer": [0.5 for _ in steps],
            "remaining": [1 - 0.0009 * step for step in steps],
            "learning_rate": [0.02 for _ in steps],
            "signal_to_noise": {"step": [500, 1000], "value": [0.09, 0.07]},
            "noise_floor": 0.0526,
        },
        "evaluations": [
            {"step": 0, "stage": "before", "remaining": 1.0, "metrics": {"accuracy": 0.51}},
            {"step": 500, "stage": "during", "remaining": 0.3, "metrics": {"accuracy": 0.8}},
            {"step": 1000, "stage": "final", "remaining": 0.1, "metrics": metrics},
        ],
        "matrices": deepcopy(matrices),
        "heads": heads,
        "scores": [
            {
                "split": "validation",
                "rows": 872,
                "metrics": metrics,
                "confusion": {"labels": ["negative", "positive"], "counts": [[388, 40], [34, 410]]},
            }
        ],
        "sizes": [{"artifact": "mask.safetensors", "bytes": 10_640_000}],
        "exports": None,
        "data": {
            "train_split": "train",
            "validation_splits": ["validation"],
            "validation_rows": 872,
            "held_out_share": None,
            "class_weights": None,
        },
        "cost": {"seconds": 4980.0, "steps": 1000, "device": "cuda", "train_rows": 67_349, "rows_per_step": 64},
        "spec": PruningSpec(model="bert-base", task="sst2").model_dump(mode="json"),
        "versions": {"torch": "2.11"},
        **changes,
    }
