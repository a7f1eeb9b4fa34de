"""The masked model as what a stock folder holds: a classifier that pipelines load, or else the language model and why.

``pipeline("text-classification", folder)`` gives the classes, names and scores of ``load_pruned``, for label words too,
wherever a class of the model's type can compute the head (:mod:`pruning.export.sequence_classifier`); the result is compared on a
few rows before it is used. Called by :mod:`pruning.export.huggingface`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pruning.data.encoding import EncodedRows, encode_rows
from pruning.data.reader import unlabelled_rows
from pruning.errors import PermanentError
from pruning.evaluation.evaluate import compute_logits
from pruning.export import sequence_classifier
from pruning.export.verify import agreement_of
from pruning.formats.mask_file import MaskInfo
from pruning.inference.masked_base import create_mask_head
from pruning.inference.pruned_model import task_of
from pruning.models.heads import WORD_HEADS, ClassifierHead, QuestionAnsweringHead
from pruning.models.loading import LoadedModel
from pruning.models.logit_calibration import calibration_of
from pruning.models.pooling import configure_pooling
from pruning.spec.export_formats import unsupported_by_pooling

_PROBLEM_TYPES = {"regression": "regression", "multilabel": "multi_label_classification"}
_TRIAL_ROWS = 16
_LONGEST_TRIAL = 60
"""Tokens."""


@dataclass(frozen=True)
class StockModel:
    """What a stock folder holds."""

    model: Any
    tokenizer: Any
    info: MaskInfo
    base: Path
    """Folder of the base model."""
    reason: str | None
    """Why it is the language model and no classifier; None where it is one."""
    added_layer: bool
    """Whether the encoder has a layer more, the head of the language model."""

    averaged: bool = False
    """Whether the language model's rows hold means of the tokens of a class, each in the row of one of them."""

    @property
    def class_name(self) -> str:
        """Name of the transformers class."""
        return type(self.model).__name__

    @property
    def is_pipeline(self) -> bool:
        """Whether ``pipeline("text-classification", folder)`` or ``("token-classification", folder)`` gives the predictions."""
        return self.reason is None and self.info.kind != "span"

    @property
    def head(self) -> str:
        """The head with which :func:`pruning.models.loading.load_model` reads the folder."""
        if self.reason is not None:
            return self.info.head
        return {"span": "teacher-span", "token-classification": "token-classifier"}.get(self.info.kind, "classifier")


def class_names(info: MaskInfo) -> tuple[str, ...]:
    """Names of the outputs in class-id order; of a regression ``value``."""
    if info.kind == "regression":
        return ("value",)
    return info.class_names


def build(load: Callable[[], tuple[LoadedModel, MaskInfo]]) -> StockModel:
    """The model that ``load`` gives, with its mask; called again where the first one was changed in a way that cannot be used."""
    loaded, info = load()
    misfit = unsupported_by_pooling(("stock",), info.pooling, loaded.model.config.model_type)
    if misfit is not None:
        raise PermanentError(misfit.message, code="export_unsupported", param="exports")
    calibration = calibration_of(info.logit_scale, info.logit_offsets)
    reason = (
        "its texts stand in a template, which no pipeline writes around them"
        if info.template is not None
        else sequence_classifier.misfit(loaded, info.head, info.classes, calibration)
    )
    model = _converted(loaded, info) if reason is None else None
    if model is None and reason is None:
        loaded, info = load()  # the modules of the first one are part of what failed
        reason = f"{type(loaded.model).__name__} became a classifier that gives other scores"
    added = model is not None and sequence_classifier.adds_layer(loaded, info.head)
    averaged = False
    if model is None:
        rows = sequence_classifier.store_rows(loaded, info.label_ids)
        averaged, info = rows != info.label_ids, info.model_copy(update={"label_ids": rows})
        model = loaded.model
    else:
        _name_classes(model.config, info)
    loaded.tokenizer.model_max_length = info.max_length  # where load_pruned cuts
    return StockModel(model, loaded.tokenizer, info, loaded.folder.path, reason, added, averaged)


def _converted(loaded: LoadedModel, info: MaskInfo) -> Any:
    """The model as the class that a pipeline loads; None where its logits are not those of the head."""
    rows, cpu = _trial_rows(loaded.tokenizer, info), torch.device("cpu")
    head = create_mask_head(loaded, info)
    before = compute_logits(head, rows, cpu)
    head.release()  # type: ignore[operator]
    if info.head not in WORD_HEADS:
        sequence_classifier.reorder_classes(loaded.model, info.columns)
        configure_pooling(loaded.model.config, info.pooling)
        model = loaded.model
    else:
        model = sequence_classifier.convert_words(
            loaded,
            info.label_ids,
            info.head,
            lambda: _run(loaded.model, rows),
            calibration_of(info.logit_scale, info.logit_offsets),
        )
    after = compute_logits(head_over(model, info), rows, cpu)
    return model if agreement_of(before, after, info.kind).exact else None


def head_over(model: Any, info: MaskInfo) -> nn.Module:
    """Logits of a classifier that :func:`build` made."""
    return QuestionAnsweringHead(model) if info.head == "span" else ClassifierHead(model, range(info.classes))


def _run(model: Any, rows: EncodedRows) -> None:
    batch = rows.batch(range(len(rows)), torch.device("cpu"))
    del batch["labels"]
    model(**batch)


def _trial_rows(tokenizer: Any, info: MaskInfo) -> EncodedRows:
    """Texts of random words of the tokenizer, of 1 to 60 tokens, read as the task's texts are."""
    source = np.random.default_rng(0)
    special = set(tokenizer.all_special_ids)
    words = np.array([number for number in range(len(tokenizer)) if number not in special])
    lengths = np.linspace(1, _LONGEST_TRIAL, _TRIAL_ROWS).astype(int)
    texts = [tokenizer.decode(source.choice(words, length)) for length in lengths]
    task = task_of(info)
    short = texts[:3] * _TRIAL_ROWS
    columns = (texts,) if len(task.text) == 1 else (short[:_TRIAL_ROWS], texts)
    return encode_rows(unlabelled_rows(columns, task, "trial"), task, tokenizer, info.max_length, info.spec.stride)


def _name_classes(config: Any, info: MaskInfo) -> None:
    """Names of the classes in class-id order, and what the outputs are, as pipelines read it."""
    if info.kind == "span":
        return
    names = class_names(info)
    if info.kind == "token-classification":
        config.problem_type = None
    else:
        config.problem_type = _PROBLEM_TYPES.get(info.kind, "single_label_classification")
    config.id2label = dict(enumerate(names))
    config.label2id = {name: number for number, name in enumerate(names)}
