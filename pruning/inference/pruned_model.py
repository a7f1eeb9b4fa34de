"""Pruned model: a mask on its base, ready to predict.

Called by ``espalier.load_pruned``, :mod:`pruning.inference.mask_bank`, :mod:`pruning.inference.evaluation` and
:mod:`pruning.export`.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pruning.data import squad_v2
from pruning.data.encoding import encode_rows
from pruning.data.iob import entities
from pruning.data.reader import unlabelled_rows
from pruning.evaluation import multilabel
from pruning.evaluation.evaluate import Split, compute_logits, predict
from pruning.formats.mask_file import MaskInfo
from pruning.inference.masked_base import create_mask_head, load_masked_base
from pruning.sources import Sources
from pruning.spec.tasks import Task

Texts = str | Sequence[str] | Sequence[Sequence[str]]
"""One text, several, or for token classification several lists of words."""


@dataclass(frozen=True)
class Prediction:
    """Prediction for one text or pair of texts."""

    value: Any
    """Class id; for a regression the number, for a question the answer, for a multilabel task the ids of the labels, for token
    classification the tag of each word."""
    label: str | None
    """Name of the class; None where there are no classes."""
    probabilities: dict[str, float] | None
    """Probability of each class, by name: the softmax of the logits (multilabel: their sigmoids); not calibrated."""
    labels: list[str] | None = None
    """Names of the labels of a multilabel task whose probability is at least the mask's threshold; None for other tasks."""
    words: list[str] | None = None
    """Token classification: the words, into which a text is cut at blanks; None for other tasks."""
    entities: list[dict[str, Any]] | None = None
    """Token classification: ``type``, ``start`` and ``end`` (positions of words, the end not included) and ``text`` of each."""


class PrunedModel:
    """A base model with a mask applied, its head and tokenizer; weights outside the mask are zero."""

    def __init__(self, head: torch.nn.Module, tokenizer: Any, info: MaskInfo) -> None:
        """``head`` is a base with its head that carries the mask already; see :func:`load_pruned`."""
        self.info = info
        self.tokenizer = tokenizer
        self.head = head.eval()

    @property
    def device(self) -> torch.device:
        """Device of the weights, on which the inputs must be."""
        weights = next(self.head.parameters(), None)
        return torch.device("cpu") if weights is None else weights.device

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, or where the task has none the label words, in class-id order."""
        return self.info.class_names

    @property
    def threshold(self) -> float:
        """Threshold found on the validation rows: for a multilabel task the probability from which a label is given, for questions
        that may have no answer the score difference above which they have none."""
        span = self._task.kind == "span"
        stored = self.info.no_answer_threshold if span else self.info.label_threshold
        default = squad_v2.DEFAULT_THRESHOLD if span else multilabel.DEFAULT_THRESHOLD
        return default if stored is None else stored

    def logits(self, texts: Texts, pairs: str | Sequence[str] | None = None) -> npt.NDArray[np.float32]:
        """Logits [N, C] of N texts, or of N text pairs; for classification and regression.

        Here and in the other methods one ``str`` is one text. Raises TypeError for values that are not texts, ValueError for pairs
        where the task reads one text, or too few.
        """
        return np.stack(compute_logits(self.head, self._split(texts, pairs).encoded, self.device))

    def predict(self, texts: Texts, pairs: str | Sequence[str] | None = None) -> list[Any]:
        """Class id of each text (see ``labels``); for a regression the number, for questions on ``pairs`` the answer, for a
        multilabel task the ids of the labels whose probability is at least ``threshold``, for token classification the tag of
        each word: there a text is a list of words, or is cut at blanks."""
        texts = self._listed(texts)
        if not texts:
            return []
        return self._predict(self._split(texts, pairs))

    def predictions(self, texts: Texts, pairs: str | Sequence[str] | None = None) -> list[Prediction]:
        """Prediction for each text, with the class's name and the probability of every class."""
        texts = self._listed(texts)
        if not texts:
            return []
        if self._task.kind == "classification":
            return class_predictions(self.logits(texts, pairs), self.labels)
        if self._task.kind == "multilabel":
            return label_predictions(self.logits(texts, pairs), self.labels, self.threshold)
        if self._task.kind == "token-classification":
            split = self._split(texts, pairs)
            return tag_predictions(self._predict(split), split.rows.words or [])
        return [Prediction(value, None, None) for value in self.predict(texts, pairs)]

    def _predict(self, split: Split) -> list[Any]:
        return predict(compute_logits(self.head, split.encoded, self.device), split, self._task, self.threshold)

    def _split(self, texts: Texts, pairs: str | Sequence[str] | None) -> Split:
        texts = self._listed(texts)
        pairs = None if pairs is None else list_of_texts(pairs, "pairs")
        wanted = len(self._task.text)
        if (pairs is None) != (wanted == 1) or (pairs is not None and len(pairs) != len(texts)):
            raise ValueError(f"task {self.info.task} reads {wanted} text(s) a row: {', '.join(self._task.text)}")
        columns = (texts,) if pairs is None else (texts, pairs)
        rows = unlabelled_rows(columns, self._task, "given")
        spec = self.info.spec
        return Split(rows, encode_rows(rows, self._task, self.tokenizer, self.info.max_length, spec.stride))

    @property
    def _task(self) -> Task:
        return task_of(self.info)

    def _listed(self, texts: Texts) -> list[Any]:
        """The texts as a list; for token classification one may be a list of words. Raises TypeError, ValueError."""
        if self._task.kind != "token-classification":
            return list_of_texts(texts)  # type: ignore[arg-type]  # it refuses what is no text
        given: list[Any] = [texts] if isinstance(texts, str) else list(texts)
        for number, text in enumerate(given):
            words = list_of_texts(text, f"texts[{number}]")
            if not any(word.strip() for word in words) or (not isinstance(text, str) and not all(map(str.strip, words))):
                raise ValueError(f"texts[{number}] has no words, or an empty one; give at least one word")
        return given


def task_of(info: MaskInfo) -> Task:
    """The task of a mask, with its classes or tags."""
    return replace(info.spec.task_info, label_words=info.label_words)


def load_pruned(
    mask: str | Path, *, model: str | Path | None = None, sources: Sources | None = None, weights: str | Path | None = None
) -> PrunedModel:
    """A ready model from a mask in either form. The arguments and what is raised are those of :func:`load_masked_base`."""
    loaded, info = load_masked_base(mask, model=model, sources=sources, weights=weights)
    return PrunedModel(create_mask_head(loaded, info), loaded.tokenizer, info)


def class_predictions(logits: npt.NDArray[np.float32], labels: Sequence[str]) -> list[Prediction]:
    """Predictions from logits [N, C] and the names of the C classes."""
    wide = logits.astype(np.float64)
    shares = np.exp(wide - wide.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return [
        Prediction(int(row), labels[row], dict(zip(labels, map(float, values), strict=True)))
        for row, values in zip(logits.argmax(axis=1), shares, strict=True)
    ]


def label_predictions(logits: npt.NDArray[np.float32], labels: Sequence[str], threshold: float) -> list[Prediction]:
    """Predictions of a multilabel task from logits [N, C], the names of the C labels and the probability that gives one."""
    shares = multilabel.probabilities(logits)
    return [
        Prediction(ids, None, dict(zip(labels, map(float, row), strict=True)), [labels[number] for number in ids])
        for ids, row in zip(multilabel.label_ids(logits, threshold), shares, strict=True)
    ]


def tag_predictions(tags: Sequence[list[str]], words: Sequence[list[str]]) -> list[Prediction]:
    """Predictions of token classification from the tags and the words of each row."""
    return [
        Prediction(
            its,
            None,
            None,
            words=row,
            entities=[{**entity._asdict(), "text": " ".join(row[entity.start : entity.end])} for entity in entities(its)],
        )
        for its, row in zip(tags, words, strict=True)
    ]


def list_of_texts(texts: str | Sequence[str], name: str = "texts") -> list[str]:
    """Texts to predict on as a list: one ``str`` is one text, not its letters. Raises TypeError that names the value that is not a
    text."""
    if isinstance(texts, str):
        return [texts]
    if not isinstance(texts, Iterable) or isinstance(texts, (bytes, bytearray, Mapping, Set)):
        raise TypeError(f"{name} must be a str or a list of them, not {type(texts).__name__}")
    given = list(texts)
    for number, text in enumerate(given):
        if not isinstance(text, str):
            raise TypeError(f"{name}[{number}] must be a str, not {type(text).__name__}")
    return given
