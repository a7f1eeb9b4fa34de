"""Masks of earlier versions stay readable: metadata from before class names sufficed, templates and verbalizers."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from pruning.formats import mask_file
from pruning.masking.bits import pack_msb_first

_SHARED = {
    "format": "espalier-mask",
    "version": "1",
    "base_model": "org/base",
    "base_digest": "0" * 64,
    "task": "org/d",
    "kind": "classification",
    "max_length": "64",
    "shapes": '{"a": [3, 5]}',
    "kept": '{"a": 7}',
    "metrics": "{}",
    "versions": "{}",
}
_SPEC = """
"version": 1, "model": "org/base", "revision": null, "preset": "espalier", "method": "smp-s", "pattern": "unstructured",
"sparsity": 0.9, "one_shot": false, "teacher": null, "teacher_labels": null, "distill_temperature": 2.0,
"distill_share": 0.5, "tier": "masks", "train_biases": false, "train_readout": false, "prior": "wanda",
"prior_strength": 1.5, "calibration_rows": 128, "max_steps": null, "epochs": 10.0, "batch_size": 32,
"gradient_accumulation": 1, "max_length": 128, "stride": 128, "train_rows": null, "validation_rows": null,
"learning_rate": 0.02, "weight_learning_rate": 0.001, "max_grad_norm": 1.0, "adam_epsilon": "uncorrected",
"regularization": 400.0, "threshold": 0.1, "regularization_ramp": "run", "temperature": 1.0, "surplus": "redistribute",
"ramp": 0.6, "hold": 0.4, "ramp_shape": "cubic", "dropout": null, "seed": 42, "precision": "fp32", "eval_every": null,
"checkpoint_every": 500, "devices": 1
"""
"""Fields that are the same in both, as JSON."""
_TASK = '{"dataset": "org/d", "config": null, "text": ["t"], "label": "label", "kind": "classification", "metric": null, %s, \
"train_split": "train", "validation_split": "validation"}'
_NAMES = '["card payment fee charged", "why verify identity", "card payment not charged"]'

CLASSIFIER = _SHARED | {
    "head": "classifier",
    "label_words": _NAMES,
    "label_ids": "[]",
    "columns": "[0, 1, 2]",
    "logit_offsets": "[]",
    "spec": f"""{{"task": {_TASK % f'"labels": {_NAMES}, "label_words": {_NAMES}'}, "head": "classifier", "label_words": {_NAMES},
        "calibrate_logits": false, {_SPEC}}}""",
}
"""The class names stood for label words, too."""
WORDS = _SHARED | {
    "head": "label-words",
    "label_words": '["bad", "good"]',
    "label_ids": "[7, 9]",
    "columns": "[]",
    "logit_scale": "2.0",
    "logit_offsets": "[0.5, -0.5]",
    "spec": f"""{{"task": {_TASK % '"labels": ["very bad", "very good"], "label_words": ["bad", "good"]'}, "head": "label-words",
        "label_words": ["bad", "good"], "calibrate_logits": true, {_SPEC}}}""",
}


def read(folder: Path, metadata: dict[str, str]) -> mask_file.MaskInfo:
    """The metadata of a mask file that holds them."""
    mask = np.arange(15).reshape(3, 5) % 2 == 1
    save_file({"a": pack_msb_first(mask)}, folder / "mask.safetensors", metadata)
    masks, info = mask_file.read(folder / "mask.safetensors")
    assert np.array_equal(masks["a"], mask)
    return info


@pytest.mark.parametrize(
    ("metadata", "names"),
    [(CLASSIFIER, tuple(json.loads(_NAMES))), (WORDS, ("very bad", "very good"))],
    ids=["classifier", "label-words"],
)
def test_masks_of_earlier_versions_are_read(tmp_path: Path, metadata: dict[str, str], names: tuple[str, ...]) -> None:
    info = read(tmp_path, metadata)
    assert (info.class_names, info.classes) == (names, len(names))
    assert list(info.label_words) == json.loads(metadata["label_words"]) == list(info.spec.label_words)
    assert list(info.label_ids) == json.loads(metadata["label_ids"])
    stored = json.loads(metadata["spec"])
    assert stored.items() <= {**info.spec.model_dump(mode="json"), "task": stored["task"]}.items()
    assert stored["task"].items() <= info.spec.model_dump(mode="json")["task"].items()
