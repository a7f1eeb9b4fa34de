"""A mask on its base model: ready to predict, or to be evaluated exactly as in training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pruning import mask_file
from pruning.attach import prunable
from pruning.data import Encoded, Rows, encode, load_rows
from pruning.errors import Permanent
from pruning.evaluate import logits_of
from pruning.heads import LabelWordHead
from pruning.hub import Located
from pruning.metrics import predictions_of, score
from pruning.models import Loaded, digest, load, locate
from pruning.sources import Sources
from pruning.tasks import Task, task_of


class PrunedModel:
    """A base model with a mask applied, its label-word head and tokenizer; weights outside the mask are zero."""

    def __init__(self, loaded: Loaded, masks: mask_file.Masks, info: mask_file.MaskInfo) -> None:
        """Raises Permanent (``base_mismatch``) if the mask was not trained for exactly these weights."""
        self.info = info
        self.tokenizer: Any = loaded.tokenizer
        _require_same_base(loaded, info)
        apply_masks(loaded.model, masks)
        self.head = LabelWordHead(loaded.model, info.label_ids, loaded.tokenizer.mask_token_id).eval()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.head.parameters()).device

    @property
    def labels(self) -> tuple[str, ...]:
        """The label words, in class-id order."""
        return self.info.label_words

    def logits(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> npt.NDArray[np.float32]:
        """Logits [N, C] of N texts, or of N text pairs."""
        columns = (list(texts),) if pairs is None else (list(texts), list(pairs))
        rows = Rows(columns, [0] * len(texts), "given")
        return self.logits_of(encode(rows, self._task, self.tokenizer, self.info.max_length))

    def logits_of(self, rows: Encoded) -> npt.NDArray[np.float32]:
        """Logits [N, C] of encoded rows, cut into batches as in training, so that equal weights give equal bits."""
        return logits_of(self.head, rows, self.device)

    def predict(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[int] | list[float]:
        """Class id of each text (see ``labels``); for a regression the number itself."""
        if not texts:
            return []
        predictions: list[int] | list[float] = predictions_of(self._task, self.logits(texts, pairs)).tolist()
        return predictions

    @property
    def _task(self) -> Task:
        return task_of(self.info.spec.task)


def load_pruned(mask: str | Path, *, model: str | Path | None = None, sources: Sources | None = None) -> PrunedModel:
    """Read a mask, find its base model, check that the weights are the ones it was trained for, apply it.

    ``model`` is the base model's folder; without it the base is looked up by the name and commit in the mask, in
    ``sources`` (default: the hub). Raises Permanent or Temporary.
    """
    masks, info = mask_file.read(Path(mask))
    folder = None if model is None else Path(model)
    located = (
        locate(info.base_model, info.base_revision, sources or Sources()) if folder is None else Located(folder, None)
    )
    return PrunedModel(load(located, info.label_words, info.head), masks, info)


@torch.no_grad()
def apply_masks(model: torch.nn.Module, masks: mask_file.Masks) -> None:
    """Zero every weight outside its mask, in place. Raises Permanent if the matrices are not the model's."""
    linears = prunable(model)
    shapes = {path: tuple(linear.weight.shape) for path, linear in linears.items()}
    if shapes != {path: mask.shape for path, mask in masks.items()}:
        raise Permanent(
            "the mask's matrices are not those of this model; give the base model the mask was trained for",
            code="base_mismatch", param="model",
        )  # fmt: skip
    for path, mask in masks.items():
        linears[path].weight.mul_(torch.from_numpy(mask).to(linears[path].weight.device))


def evaluate_mask(pruned: PrunedModel, sources: Sources) -> dict[str, float]:
    """Metrics of a mask on its task's validation rows, as the final evaluation of its training computed them."""
    spec = pruned.info.spec
    task = task_of(spec.task)
    rows = load_rows(task, task.validation_splits[0], sources, spec.validation_rows)
    encoded = encode(rows, task, pruned.tokenizer, pruned.info.max_length)
    return score(task, pruned.logits_of(encoded), encoded.labels.numpy())


def _require_same_base(loaded: Loaded, info: mask_file.MaskInfo) -> None:
    found = digest(loaded.model)
    if found != info.base_digest:
        raise Permanent(
            f"the weights of {loaded.located.path.name!r} are not those the mask was trained for "
            f"({info.base_model}, sha-256 {info.base_digest[:12]}..., found {found[:12]}...); give the same base model",
            code="base_mismatch", param="model",
        )  # fmt: skip
