"""Task heads: logits from an encoder's states, without new parameters wherever that is possible.

``label-words`` and ``span`` use the model's own, frozen language-model head: the hidden state at the mask token (or at position 0,
``[CLS]`` or ``<s>``, where a row has none; at the last token of a decoder-only model) goes through the whole head, and the logit of
a class is the column of its label word, or the mean of several (:mod:`pruning.spec.verbalizer`). No architecture is named: the
output embedding is cut down to one row for each class, and the encoder's output to that one position, so the head's work is a few
rows; where the model allows it (:mod:`pruning.models.position_slicing`), so is the encoder's work after its last attention.
``classifier`` is transformers' sequence classification head, which reads the first token or, pooled, all of them (so no position
is sliced away), and ``token-classifier`` its token classification head, the checkpoint's own or a new one. Called by training,
exports and predictions.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from fractions import Fraction
from typing import Any, Literal

import torch
from torch import nn

from pruning.models import position_slicing
from pruning.models.loading import LoadedModel, Readout
from pruning.models.logit_calibration import LogitCalibration
from pruning.models.pooling import attach_pooling
from pruning.models.pooling_checks import Pooling
from pruning.models.position_slicing import select_positions
from pruning.spec.verbalizer import ClassTokens, token_shares

Position = Literal["first", "last", "every"]
"""first: the mask token or position 0; last: the last token that is not padding; every: all of them (spans)."""


WORD_HEADS = ("label-words", "span")
"""Heads that read words of the vocabulary; the others are classifiers of transformers."""


class LabelWordHead(nn.Module):
    """A language model used as classifier, regressor (one label word) or span finder (two: start and end).

    ``forward`` takes ``input_ids`` and ``attention_mask`` [B, S] (and ``token_type_ids`` where the model has them) and
    returns logits [B, C] in the order of ``label_ids``, or [B, S, C] at every position; calibrated, where :meth:`calibrate` was
    called. The given model is changed in place.
    """

    def __init__(
        self,
        model: nn.Module,
        label_ids: Sequence[ClassTokens],
        mask_token_id: int | None,
        position: Position = "first",
        readout: Readout | None = None,
    ) -> None:
        """``readout`` takes the place of the vocabulary's rows of ``label_ids``."""
        super().__init__()
        self.model = model
        self.mask_token_id = mask_token_id
        self.position = position
        self._positions = torch.zeros(0, dtype=torch.int64)
        self.calibration: LogitCalibration | None = None
        self._offsets: torch.Tensor
        self._whole_decoder = [
            _keep_rows(model, *label_rows(model, label_ids, readout))
        ]  # in a list, so that it is not a submodule
        self._hook = self._slicing = None
        if position != "every":
            self._hook = getattr(model, str(model.base_model_prefix)).register_forward_hook(self._keep_position)
            self._slicing = position_slicing.attach_if_exact(model, self._read_positions, self._trial)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **inputs: torch.Tensor) -> torch.Tensor:
        self._positions = self._position_of_interest(input_ids, attention_mask)
        output = self.model(input_ids=input_ids, attention_mask=attention_mask, **inputs)
        logits: torch.Tensor = output.logits  # [B, 1, C] or [B, S, C]
        logits = logits if self.position == "every" else logits.squeeze(1)
        return logits if self.calibration is None else logits * self.calibration.scale + self._offsets

    def calibrate(self, calibration: LogitCalibration) -> None:
        """Scale and shift all logits from now on."""
        self.calibration = calibration
        device = next(self.model.parameters()).device
        self.register_buffer("_offsets", torch.tensor(calibration.offsets, device=device), persistent=False)

    @property
    def readout(self) -> nn.Linear:
        """The output embedding cut down to a row for each class: weight [C, E], bias [C] or None."""
        linear: nn.Linear = self.model.get_output_embeddings()  # type: ignore[operator]
        return linear

    @contextmanager
    def all_positions(self) -> Iterator[None]:
        """Context in which every layer sees every position, also where only one is read."""
        if self._slicing is None:
            yield
            return
        self._slicing.enabled = False
        try:
            yield
        finally:
            self._slicing.enabled = True

    def release(self) -> None:
        """Restore the model for another head; this one must not be used afterwards."""
        for hook in (self._hook, self._slicing):
            if hook is not None:
                hook.remove()
        self.model.set_output_embeddings(self._whole_decoder[0])  # type: ignore[operator]

    def _position_of_interest(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """[B]: the position whose state is read in each row."""
        if self.position == "last":
            steps = torch.arange(attention_mask.shape[1], device=attention_mask.device)
            return (attention_mask * steps).argmax(dim=1)  # padding may be on either side
        if self.mask_token_id is None:
            return torch.zeros_like(input_ids[:, 0])
        return (input_ids == self.mask_token_id).to(torch.uint8).argmax(dim=1)  # 0 where there is none

    def _read_positions(self) -> torch.Tensor:
        """[B] of the current batch. A method, not a lambda: a deep copy of this head must read its own positions."""
        return self._positions

    def _keep_position(self, _module: nn.Module, _inputs: Any, output: Any) -> Any:
        hidden = output[0]  # [B, S, H], or [B, 1, H] with position slicing
        if hidden.shape[1] > 1:
            output.last_hidden_state = select_positions(hidden, self._positions)
        return output

    def _trial(self) -> torch.Tensor:
        """Logits of two rows whose positions of interest differ where the model has a mask token."""
        ids = torch.arange(16, device=next(self.model.parameters()).device).view(2, 8) + 5
        if self.mask_token_id is not None:
            ids[0, 3] = ids[1, 6] = self.mask_token_id
        logits: torch.Tensor = self(ids, torch.ones_like(ids))
        return logits


def label_rows(model: Any, label_ids: Sequence[ClassTokens], readout: Readout | None) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Copies of the rows [C, E] and biases [C] that a head reads: ``readout``'s, or the vocabulary's of ``label_ids``.

    A mean of logits h·w + b over tokens is h·(mean of w) + (mean of b): one row and one bias for each class.
    """
    decoder = model.get_output_embeddings()
    if readout is not None:
        weight, bias = readout.weight.to(decoder.weight.device), readout.bias
        return weight.clone(), None if bias is None else bias.to(decoder.weight.device).clone()
    shares = [token_shares(tokens) for tokens in label_ids]
    return _mean_rows(decoder.weight.detach(), shares), (
        None if decoder.bias is None else _mean_rows(decoder.bias.detach(), shares)
    )


def _mean_rows(rows: torch.Tensor, shares: Sequence[Mapping[int, Fraction]]) -> torch.Tensor:
    """[C, ...]: of each class the rows of its tokens, added up by their shares in float64; a single token's as it is."""

    def row(share: Mapping[int, Fraction]) -> torch.Tensor:
        if len(share) == 1:
            return rows[next(iter(share))]
        weights = torch.tensor([float(part) for part in share.values()], dtype=torch.float64, device=rows.device)
        mean: torch.Tensor = torch.tensordot(weights, rows[list(share)].double(), dims=1)
        return mean.to(rows.dtype)

    return torch.stack([row(share) for share in shares])


def _keep_rows(model: Any, weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Module:
    """Put these rows, frozen, in the place of the output embedding; returns the original."""
    whole: nn.Module = model.get_output_embeddings()
    small = nn.Linear(weight.shape[1], len(weight), bias=bias is not None)
    small.weight = nn.Parameter(weight, requires_grad=False)
    if bias is not None:
        small.bias = nn.Parameter(bias, requires_grad=False)
    model.set_output_embeddings(small)
    return whole


class ClassifierHead(nn.Module):
    """transformers' sequence or token classifier; logits [B, C] or [B, S, C], ``columns`` put into the task's class order.

    ``pooling`` says which states a sequence classifier reads (:mod:`pruning.models.pooling`); None leaves that to its class.
    """

    def __init__(self, model: nn.Module, columns: Sequence[int], pooling: Pooling | None = None) -> None:
        super().__init__()
        self.model = model
        self.columns = list(columns)
        self._attended = torch.zeros(0, dtype=torch.int64)
        self._pooling = attach_pooling(model, pooling, self._read_attended)

    def forward(self, **inputs: torch.Tensor) -> torch.Tensor:
        if self._pooling is not None:
            self._attended = inputs["attention_mask"]
        logits: torch.Tensor = self.model(**inputs).logits
        return logits[..., self.columns]

    @property
    def readout(self) -> nn.Linear:
        """The last matrix of the classifier."""
        return last_linear(self.model)

    def all_positions(self) -> AbstractContextManager[None]:
        """Every layer always sees every position."""
        return nullcontext()

    def release(self) -> None:
        """Restore the model for another head; this one must not be used afterwards."""
        if self._pooling is not None:
            self._pooling.remove()

    def _read_attended(self) -> torch.Tensor:
        """[B, S] of the current batch. A method, as that of the positions of :class:`LabelWordHead`."""
        return self._attended


def last_linear(model: Any) -> nn.Linear:
    """The matrix of a sequence classification model whose outputs are the classes."""
    prefix = f"{model.base_model_prefix}."
    return [
        module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and not name.startswith(prefix) and module.out_features == model.config.num_labels
    ][-1]


class QuestionAnsweringHead(nn.Module):
    """transformers' question answering model, a teacher or an export: start and end logits [B, S, 2]."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, **inputs: torch.Tensor) -> torch.Tensor:
        output = self.model(**inputs)
        return torch.stack([output.start_logits, output.end_logits], dim=-1)


def create_head(
    loaded: LoadedModel,
    label_ids: Sequence[ClassTokens],
    columns: list[int],
    head: str,
    calibration: LogitCalibration | None = None,
    pooling: Pooling | None = None,
) -> LabelWordHead | ClassifierHead:
    """The head of a run or of a mask, on a model whose linears may already be masked."""
    if head not in WORD_HEADS:
        return ClassifierHead(loaded.model, columns, pooling)
    position: Position = "every" if head == "span" else "last" if loaded.decoder_only else "first"
    words = LabelWordHead(loaded.model, label_ids, loaded.tokenizer.mask_token_id, position, loaded.readout)
    if calibration is not None:
        words.calibrate(calibration)
    return words
