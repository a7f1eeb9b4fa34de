"""Masks for the toys, made and not trained: as empty as a test wants them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pruning.export.build import ExportSource
from pruning.formats import mask_file
from pruning.formats.mask_file import MaskInfo, Masks
from pruning.hub.models import ModelFolder
from pruning.inference.masked_base import create_mask_head, load_masked_base
from pruning.inference.pruned_model import PrunedModel
from pruning.masking.wrap import prunable_linears
from pruning.models.label_words import WordRules, label_word_ids
from pruning.models.loading import load_model, weights_digest
from pruning.spec.schema import PruningSpec
from tests import toy_models

LOGIT_SCALE = 1.75
"""Of every calibrated mask here."""
HEAD = toy_models.HIDDEN // 2
"""Dimensions of one of a toy's two heads."""


def make_mask(
    path: Path,
    model: Path,
    *,
    share: float = 0.1,
    seed: int = 0,
    columns: tuple[int, ...] = (0, 1),
    metrics: dict[str, float] | None = None,
    **fields: Any,
) -> Path:
    """A mask file for a toy that keeps about ``share``, with empty rows and columns everywhere and one empty head.

    ``columns``: of a classifier head, one per class.
    """
    spec = PruningSpec.model_validate({"model": model.name, "task": "sst2", "max_length": 32, "sparsity": 0.9, **fields})
    task = spec.task_info
    loaded = load_model(ModelFolder(model, None), spec.label_words, spec.head, pieces=spec.label_word_pieces)
    rules = WordRules(spec.label_word_pieces, spec.head)
    shapes = {name: (linear.out_features, linear.in_features) for name, linear in prunable_linears(loaded.model).items()}
    masks = make_masks(shapes, share, seed, pattern=spec.pattern)
    info = MaskInfo(
        base_model=model.name,
        base_digest=weights_digest(loaded.model, loaded.new_parameters),
        task=task.name,
        kind=task.kind,
        head=spec.head,
        label_words=spec.label_words,
        max_length=32,
        shapes=shapes,
        metrics=metrics or {"accuracy": 0.5},
        spec=spec,
        label_ids=() if spec.head == "classifier" else tuple(label_word_ids(loaded.tokenizer, spec.label_words, rules)),
        columns=columns if spec.head == "classifier" else (),
        versions={},
        kept={name: int(mask.sum()) for name, mask in masks.items()},
        logit_scale=LOGIT_SCALE if spec.calibrate_logits else None,
        logit_offsets=tuple(0.25 * i - 0.5 for i in range(len(spec.label_words))) if spec.calibrate_logits else (),
    )
    mask_file.write(path, masks, info)
    return path


def make_masks(shapes: Mapping[str, tuple[int, int]], share: float, seed: int, pattern: str = "unstructured") -> Masks:
    """A third of all rows and a quarter of all columns are empty; head 0 of the first layer has no values."""
    source = np.random.default_rng(seed)
    masks: Masks = {}
    for i, (name, shape) in enumerate(shapes.items()):
        if pattern == "2:4":
            masks[name] = _two_four(source, shape)
            continue
        mask = source.random(shape) < share
        mask[source.random(shape[0]) < 0.33] = False
        mask[:, source.random(shape[1]) < 0.25] = False
        if i == 2:
            mask[:HEAD] = False
        if i == 0 and name.endswith("c_attn"):  # the values are the last third of its rows
            mask[2 * shape[0] // 3 :][:HEAD] = False
        masks[name] = mask
    return masks


def _two_four(source: np.random.Generator, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    ranks = source.random((shape[0], shape[1] // 4, 4)).argsort(axis=2)
    return (ranks < 2).reshape(shape)


def subject_of(mask: Path, model: Path) -> ExportSource:
    """What the exporters start from."""
    loaded, info = load_masked_base(mask, model=model)
    return ExportSource(PrunedModel(create_mask_head(loaded, info), loaded.tokenizer, info), loaded.decoder_only)


def padded_batch(subject: ExportSource, lengths: tuple[int, ...] = (24, 3, 11), seed: int = 1) -> dict[str, Any]:
    """Inputs [B, S] of rows of these lengths."""
    from pruning.export.verify import random_rows

    pruned = subject.pruned
    batch = random_rows(pruned, list(lengths), seed).batch(range(len(lengths)), pruned.device)
    del batch["labels"]
    return batch
