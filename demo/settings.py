"""Specs of the demo's job: with the hub a well-known model on GLUE, without it the shipped model and data set."""

from typing import Any

SHIPPED_MODEL = "espalier-demo-mlm"
SHIPPED_SPEC: dict[str, Any] = {
    "model": SHIPPED_MODEL,
    "task": {"dataset": "reviews", "text": ["sentence"], "labels": ["negative", "positive"], "label_words": ["terrible", "great"]},
    "sparsity": 0.9,
    "max_steps": 1000,
    "batch_size": 32,
    "max_length": 64,
}

HUB_MODEL = "distilbert/distilbert-base-uncased"
HUB_SPEC: dict[str, Any] = {
    "model": HUB_MODEL,
    "task": "sst2",
    "sparsity": 0.5,
    # a hundred steps of a model this size take about two minutes on two cores: enough to see it work, not to learn
    "max_steps": 100,
    "batch_size": 16,
    "max_length": 48,
    "train_rows": 1600,
    "validation_rows": 400,
}
