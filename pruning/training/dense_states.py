"""Distillation from the hidden states of the dense model: how far those of the masked model are from them.

A label says little of millions of scores; the states of the dense model say something of every matrix, at every token. With h_l the
states [B, S, H] behind layer l of the masked (m) and the dense (d) model, and var_l the variance of the latter over tokens, the
trace of their covariance over the calibration rows:

    D = mean over layers of  (mean over rows of the mean over their tokens of |h_l^m - h_l^d|²) / var_l

D is 0 for equal states, and 1 where every layer gives all tokens their mean state. The teacher's states as targets are those of Sun
et al. (2019, arXiv 1908.09355, eq. 7); here the teacher is the model that is pruned, before pruning. Called by
:mod:`pruning.training.build` and :mod:`pruning.training.losses`.
"""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from pruning.data.tagged_words import IGNORED
from pruning.masking.wrap import prunable_linears
from pruning.models.heads import ClassifierHead, LabelWordHead, create_head
from pruning.spec.schema import PruningSpec
from pruning.training.inputs import Inputs

Head = LabelWordHead | ClassifierHead
Batch = dict[str, torch.Tensor]
_LEAST_SHARE = 1e-6
"""Least variance, as a share of the mean square: of states that are the same for all tokens there is none to divide by."""


@dataclass(frozen=True)
class DenseStates:
    """The states that a run is distilled from, and the weight of their loss."""

    dense: Head
    """The dense model, frozen and in evaluation mode."""
    weight: float
    """``distill_states`` of the spec."""
    variances: torch.Tensor
    """var_l, float32 [layers]."""
    by_word: bool
    """Whether the task loss is a mean over tagged words and not over rows."""

    def logits_and_loss(self, head: nn.Module, inputs: Batch, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of the masked model under ``head``, and the weight times D, a scalar."""
        logits, masked = logits_and_states(head, inputs)
        return logits, self.weight * self._distance(masked, inputs, labels)

    def _distance(self, masked: list[torch.Tensor], inputs: Batch, labels: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            _, dense = logits_and_states(self.dense, inputs)
        shares = self._token_shares(inputs["attention_mask"], labels).to(_wide(masked[0]))
        terms = [_mean_square(m, d, shares) for m, d in zip(masked, dense, strict=True)]
        return (torch.stack(terms) / self.variances).mean()

    def _token_shares(self, attended: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """[B, S]: what each token counts for, together 1: rows alike, and the tokens of a row; or tagged words alike. Micro-batches
        and ranks are then weighed as in the task loss, and add up."""
        if self.by_word:
            tagged = (labels != IGNORED).double()
            return tagged / tagged.sum().clamp(min=1)
        tokens = attended.double()
        return tokens / tokens.sum(dim=1, keepdim=True).clamp(min=1) / len(tokens)


def copy_dense(spec: PruningSpec, inputs: Inputs, device: torch.device) -> Head:
    """The dense model under a head like the run's; made before its linears are wrapped.

    Where a run leaves the weights as they are, large ones are the same memory.
    """
    model = inputs.loaded.model.to(device)
    shared = {} if spec.method_info.trains_weights else {id(weight): weight for weight in _large_weights(model)}
    loaded = replace(inputs.loaded, model=copy.deepcopy(model, shared))
    head = create_head(loaded, inputs.label_ids, inputs.columns, spec.head, pooling=spec.pooling)
    return head.requires_grad_(requires_grad=False).eval()


def logits_and_states(head: nn.Module, inputs: Batch) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Logits of a head, and the states [B, S, H] behind each layer; behind the last one [B, 1, H], where it computes the position
    that is read alone."""
    states: list[torch.Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
        states.extend(output.hidden_states[1:])  # the first are those of the embeddings

    hook = head.get_submodule("model").register_forward_hook(keep)
    try:
        logits: torch.Tensor = head(**inputs, output_hidden_states=True)
    finally:
        hook.remove()
    return logits, states


@torch.no_grad()
def state_variances(dense: Head, batches: Iterable[Batch]) -> torch.Tensor:
    """var_l, float32 [layers], over the tokens of ``batches`` of inputs.

    In float64: some features of a state have a mean that is large for their spread.
    """
    tokens: list[list[torch.Tensor]] = []
    for inputs in batches:
        states = logits_and_states(dense, inputs)[1]
        attended = inputs["attention_mask"].bool()
        tokens.append([(each[:, 0] if each.shape[1] == 1 else each[attended]).double() for each in states])
    variances = []
    for parts in zip(*tokens, strict=True):
        layer = torch.cat(parts)
        variance, mean_square = layer.var(dim=0, correction=0).sum(), layer.square().sum(dim=1).mean()
        variances.append(torch.maximum(variance, _LEAST_SHARE * mean_square))
    return torch.stack(variances).float()


def _large_weights(model: Any) -> list[torch.Tensor]:
    """Matrices that are masked, embeddings, and the output embedding of a language model, of which a head keeps a few rows."""
    linears = list(prunable_linears(model).values())
    embeddings = [module.weight for module in model.modules() if isinstance(module, nn.Embedding)]
    output = model.get_output_embeddings()
    return [linear.weight for linear in linears] + embeddings + ([] if output is None else [output.weight])


def _mean_square(masked: torch.Tensor, dense: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    if masked.shape[1] == 1:
        shares = shares.sum(dim=1, keepdim=True)
    wide = _wide(masked)
    return ((masked.to(wide) - dense.to(wide)).square().sum(dim=-1) * shares).sum()


def _wide(states: torch.Tensor) -> torch.dtype:
    """float32 for states in half precision, whose squares it could not add up."""
    return torch.promote_types(states.dtype, torch.float32)
