"""A mask on its base model: ready to predict, or to be evaluated exactly as in training."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pruning.data.encoding import encode_rows
from pruning.data.reader import Rows, load_rows
from pruning.errors import PermanentError
from pruning.evaluation.evaluate import Split, compute_logits, evaluate_all, merge_metrics, predict
from pruning.formats import compact_file, mask_file, trained_weights
from pruning.hub.models import ModelFolder
from pruning.inference.predictions import Prediction, classified
from pruning.masking.wrap import prunable_linears
from pruning.models.heads import create_head
from pruning.models.loading import LoadedModel, load_model, locate_model, weights_digest
from pruning.sources import Sources
from pruning.spec.tasks import Task


class PrunedModel:
    """A base model with a mask applied, its head and tokenizer; weights outside the mask are zero."""

    def __init__(self, head: torch.nn.Module, tokenizer: Any, info: mask_file.MaskInfo) -> None:
        """``head`` is a base with its head that carries the mask already; see :func:`load_pruned`."""
        self.info = info
        self.tokenizer = tokenizer
        self.head = head.eval()

    @property
    def device(self) -> torch.device:
        """Where the weights are, and where the inputs must be."""
        weights = next(self.head.parameters(), None)
        return torch.device("cpu") if weights is None else weights.device

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, or where the task has none the label words, in class-id order."""
        return self.info.spec.task_info.labels or self.info.label_words

    def logits(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> npt.NDArray[np.float32]:
        """Logits [N, C] of N texts, or of N text pairs; for classification and regression."""
        return np.stack(compute_logits(self.head, self._split(texts, pairs).encoded, self.device))

    def predict(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[Any]:
        """Class id of each text (see ``labels``); for a regression the number, for questions on ``pairs`` the answer."""
        if not texts:
            return []
        split = self._split(texts, pairs)
        return predict(compute_logits(self.head, split.encoded, self.device), split, self._task)

    def predictions(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[Prediction]:
        """What :meth:`predict` says of each text, with the class's name and the probability of every class."""
        if not texts:
            return []
        if self._task.kind == "classification":
            return classified(self.logits(texts, pairs), self.labels)
        return [Prediction(value, None, None) for value in self.predict(texts, pairs)]

    def _split(self, texts: Sequence[str], pairs: Sequence[str] | None) -> Split:
        wanted = len(self._task.text)
        if (pairs is None) != (wanted == 1) or (pairs is not None and len(pairs) != len(texts)):
            raise ValueError(f"task {self.info.task} reads {wanted} text(s) a row: {', '.join(self._task.text)}")
        columns = (list(texts),) if pairs is None else (list(texts), list(pairs))
        nothing: Any = {"text": [""], "answer_start": [0]} if self._task.kind == "span" else 0
        rows = Rows(columns, [nothing] * len(texts), "given")
        spec = self.info.spec
        return Split(rows, encode_rows(rows, self._task, self.tokenizer, self.info.max_length, spec.stride))

    @property
    def _task(self) -> Task:
        return self.info.spec.task_info


def load_pruned(
    mask: str | Path,
    *,
    model: str | Path | None = None,
    sources: Sources | None = None,
    weights: str | Path | None = None,
) -> PrunedModel:
    """A ready model from a mask in either form. The arguments and what is raised are those of :func:`masked_base`."""
    loaded, info = masked_base(mask, model=model, sources=sources, weights=weights)
    return PrunedModel(head_of(loaded, info), loaded.tokenizer, info)


def head_of(loaded: LoadedModel, info: mask_file.MaskInfo) -> torch.nn.Module:
    """The head that a mask was trained with, on its model, which is changed in place."""
    return create_head(loaded, list(info.label_ids), list(info.columns), info.head)


def masked_base(
    mask: str | Path,
    *,
    model: str | Path | None = None,
    sources: Sources | None = None,
    weights: str | Path | None = None,
) -> tuple[LoadedModel, mask_file.MaskInfo]:
    """Read a mask, find its base model, check that the weights are the ones it was trained for, apply it.

    ``model`` is the base model's folder; without it the base is looked up by the name and commit in the mask, in
    ``sources`` (default: the hub). ``weights`` is the file of a method that trained weights, by default
    ``weights.safetensors`` beside the mask. Raises PermanentError (``mask_invalid``, ``base_mismatch``, ``weights_missing``, …)
    or TemporaryError.
    """
    path = Path(mask)
    masks, info = compact_file.read_either(path)
    folder = None if model is None else Path(model)
    located = (
        locate_model(info.base_model, info.base_revision, sources or Sources())
        if folder is None
        else ModelFolder(folder, None)
    )
    loaded = load_model(located, info.label_words, info.head)
    require_same_base(weights_digest(loaded.model, loaded.new_parameters), loaded.folder.path.name, info)
    apply_masks(loaded.model, masks)
    if info.weights_sha256 is not None:
        stored = weights_beside(path, info, weights)
        trained_weights.load_file_into(
            stored, loaded.model, {name: torch.from_numpy(mask) for name, mask in masks.items()}
        )
    return loaded, info


@torch.no_grad()
def apply_masks(model: torch.nn.Module, masks: mask_file.Masks) -> None:
    """Zero every weight outside its mask, in place. Raises PermanentError if the matrices are not the model's."""
    linears = prunable_linears(model)
    require_same_matrices(linears, {path: mask.shape for path, mask in masks.items()})
    for path, mask in masks.items():
        linears[path].weight.mul_(torch.from_numpy(mask).to(linears[path].weight.device))


def require_same_matrices(linears: Mapping[str, torch.nn.Linear], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse masks of other matrices than ``linears``. Raises PermanentError (``base_mismatch``)."""
    if {path: tuple(linear.weight.shape) for path, linear in linears.items()} != dict(shapes):
        raise PermanentError(
            "the mask's matrices are not those of this model; give the base model the mask was trained for",
            code="base_mismatch", param="model",
        )  # fmt: skip


def evaluate_mask(pruned: PrunedModel, sources: Sources) -> dict[str, float]:
    """Metrics of a mask on its task's validation rows, as the final evaluation of its training computed them."""
    spec = pruned.info.spec
    task = spec.task_info
    splits = []
    for name in task.validation_splits:
        rows = load_rows(task, name, sources, spec.validation_rows)
        splits.append(Split(rows, encode_rows(rows, task, pruned.tokenizer, pruned.info.max_length, spec.stride)))
    return merge_metrics(evaluate_all(pruned.head, splits, task, pruned.device), splits)


def weights_beside(mask: Path, info: mask_file.MaskInfo, given: str | Path | None) -> Path:
    """The file of what a method trained beside its mask, whose digest is the one in the mask.

    Raises PermanentError (``weights_missing``, ``weights_invalid``).
    """
    path = Path(given) if given is not None else mask.parent / trained_weights.WEIGHTS
    if not path.is_file():
        raise PermanentError(
            f"method {info.spec.method} trained more than the mask; download {trained_weights.WEIGHTS} of the job "
            "into the same folder, or name it by weights=",
            code="weights_missing", param="mask",
        )  # fmt: skip
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != info.weights_sha256:
            raise PermanentError(
                f"{path.name} is not the one this mask belongs to; download both from the same job",
                code="weights_invalid", param="mask",
            )  # fmt: skip
    return path


def require_same_base(found: str, name: str, info: mask_file.MaskInfo) -> None:
    """Refuse a mask for other weights than those of the base ``name``, whose digest is ``found``. Raises PermanentError."""
    if found != info.base_digest:
        raise PermanentError(
            f"the weights of {name!r} are not those the mask was trained for "
            f"({info.base_model}, sha-256 {info.base_digest[:12]}..., found {found[:12]}...); give the same base model",
            code="base_mismatch", param="model",
        )  # fmt: skip
