"""Plain linear modules in place of special ones of transformers: GPT-2's Conv1D and the two-part output embedding of MobileBERT.

Everything else here reads ``nn.Linear`` alone, so the models are brought to that form once, when they are loaded, and back to
transformers' own before a stock folder is written. A Conv1D stores its weight as [in, out]; as a linear layer it is [out, in] like
any other, so masks, groups, density maps, rows of 2:4 (along the inputs) and compaction mean the same for GPT-2. Called by
:mod:`pruning.models.loading` and the exports.
"""

from typing import Any, TypeVar

import torch
from torch import nn
from transformers.models.mobilebert.modeling_mobilebert import MobileBertLMPredictionHead
from transformers.pytorch_utils import Conv1D

_Model = TypeVar("_Model", bound=nn.Module)


class _PlainHead(nn.Module):
    """MobileBERT's language-model head with one output embedding [V, H].

    In transformers it is in two parts: the word embeddings [V, E], which are tied, and columns for the rest of the state
    [H - E, V].
    """

    def __init__(self, head: MobileBertLMPredictionHead) -> None:
        super().__init__()
        self.transform = head.transform
        self.decoder = _linear(torch.cat([head.decoder.weight, head.dense.weight.t()], dim=1), head.decoder.bias)
        self.bias = self.decoder.bias

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Logits [B, S, V] of states [B, S, H]."""
        logits: torch.Tensor = self.decoder(self.transform(states))
        return logits


@torch.no_grad()
def use_plain_modules(model: _Model) -> _Model:
    """Put plain modules in the place of special ones, in ``model`` itself, which is returned; it computes what it did before.

    The embedding of MobileBERT's padding token becomes zero: the model reads the neighbours of each token, so the last token of a
    text would otherwise depend on whether the text is padded.
    """
    for path, module in list(model.named_modules()):
        if isinstance(module, Conv1D):
            _replace(model, path, _linear(module.weight.t(), module.bias))
        elif isinstance(module, MobileBertLMPredictionHead):
            _replace(model, path, _PlainHead(module))
        elif getattr(module, "trigram_input", False) is True:
            embedding = module.get_submodule("word_embeddings")
            if isinstance(embedding, nn.Embedding) and embedding.padding_idx is not None:
                embedding.weight[embedding.padding_idx] = 0
    return model


@torch.no_grad()
def use_stock_modules(model: _Model) -> _Model:
    """The reverse, before ``model`` is stored for plain transformers."""
    config = getattr(model, "config", None)
    model_type = getattr(config, "model_type", "")
    for path, module in list(model.named_modules()):
        if isinstance(module, _PlainHead):
            _replace(model, path, _two_part_head(model, module))
        elif model_type == "gpt2" and isinstance(module, nn.Linear) and any(part.isdigit() for part in path.split(".")):
            stock = Conv1D(module.out_features, module.in_features)  # type: ignore[no-untyped-call]
            stock.weight = nn.Parameter(module.weight.t().contiguous(), requires_grad=False)
            stock.bias = module.bias
            _replace(model, path, stock)
    return model


def _two_part_head(model: Any, plain: _PlainHead) -> MobileBertLMPredictionHead:
    config = model.config
    with torch.device("meta"):
        head = MobileBertLMPredictionHead(config)  # type: ignore[no-untyped-call]
    width = config.embedding_size
    head.transform = plain.transform
    head.decoder = _linear(plain.decoder.weight[:, :width], plain.decoder.bias)
    head.bias = head.decoder.bias
    if config.tie_word_embeddings:
        head.decoder.weight = model.get_input_embeddings().weight
    head.dense = _linear(plain.decoder.weight[:, width:].t(), None)
    return head


def _linear(weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Linear:
    rows, columns = weight.shape
    made = nn.Linear(columns, rows, bias=bias is not None, device="meta")
    made.weight = nn.Parameter(weight.detach().contiguous(), requires_grad=False)
    made.bias = bias  # type: ignore[assignment]
    return made


def _replace(model: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, module.train(model.training))
