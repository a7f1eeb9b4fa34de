"""A label-words or classifier head as transformers' own sequence classification class, which pipelines load by themselves.

The rows of the label words become the last matrix of the class; what stands before them in the language model is, by type:

- decoders: nothing. The class reads the last token, as the head does.
- ModernBERT: the same transform as in its language model; its pooling is set to the first token.
- BERT and its relatives: an encoder layer more (:mod:`pruning.export.transform_layer`), behind which the class's own dense
  layer and activation are used as the identity, see :func:`_linear_through`.

Called by :mod:`pruning.export.stock_model`, which compares the result with the head.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForQuestionAnswering, AutoModelForSequenceClassification

from pruning.export import transform_layer
from pruning.models.heads import WORD_HEADS, label_rows, last_linear
from pruning.models.loading import LoadedModel
from pruning.models.logit_calibration import LogitCalibration
from pruning.spec.verbalizer import ClassTokens, token_shares

_SCALE = 2.0**-10
_ODD = ((1.0, -1.0), (1.0, -1.0))
"""act(x) - act(-x) = x for GELU and ReLU."""
_TANH = ((_SCALE, 2 * _SCALE, 3 * _SCALE), (1.5 / _SCALE, -0.3 / _SCALE, 1 / 30 / _SCALE))
"""1.5 tanh x - 0.3 tanh 2x + tanh 3x / 30 = x - 1.9 x^7 + ...: for a logit of 40 a relative error of 7e-9."""
_Units = tuple[tuple[float, ...], tuple[float, ...]]
_ROBERTA: tuple[str, str, _Units] = ("classifier.dense", "classifier.out_proj", _TANH)
_HEADS: dict[str, tuple[str, str, _Units]] = {
    "bert": ("bert.pooler.dense", "classifier", _TANH),
    "camembert": _ROBERTA,
    "deberta-v2": ("pooler.dense", "classifier", _ODD),
    "distilbert": ("pre_classifier", "classifier", _ODD),
    "electra": ("classifier.dense", "classifier.out_proj", _ODD),
    "mpnet": ("classifier.dense", "classifier.out_proj", _TANH),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
}
"""Dense layer and last matrix of the class, and how the activation between them (of the first token's state) is undone."""


def misfit(loaded: LoadedModel, head: str, classes: int, calibration: LogitCalibration | None) -> str | None:
    """Reason why no transformers class of the model's type computes the head; None where one does."""
    if loaded.decoder_only and head != "classifier":
        return _decoder_misfit(loaded.model, head, calibration)
    if not adds_layer(loaded, head):
        return None
    model_type = loaded.model.config.model_type
    reason = transform_layer.misfit(loaded.model)
    if reason is not None or head == "span":
        return reason
    units, states = len(_HEADS[model_type][2][0]), int(loaded.model.config.hidden_size)
    if units * classes > states:
        return f"{classes} classes do not fit into the classification head of {type(loaded.model).__name__}"
    return None


def _decoder_misfit(model: Any, head: str, calibration: LogitCalibration | None) -> str | None:
    name = type(model).__name__
    if getattr(model.config, "final_logit_softcapping", None) is not None:
        return f"{name} caps its logits (final_logit_softcapping), which no head for classification or answers does"
    if head == "span":
        known = type(model.config) in AutoModelForQuestionAnswering._model_mapping
        return None if known else f"transformers has no question answering class for models like {name}"
    if model.get_output_embeddings().bias is not None:
        return f"the classification head of decoders has no biases, which the output embedding of {name} has"
    if calibration is not None:
        return (
            "the classification head of decoders has no biases, which the offsets of calibrated logits need; a job with "
            "calibrate_logits false has none"
        )
    return None


def adds_layer(loaded: LoadedModel, head: str) -> bool:
    """Whether the language model's head becomes an encoder layer."""
    return head in WORD_HEADS and not loaded.decoder_only and loaded.model.config.model_type != "modernbert"


@torch.no_grad()
def convert_words(
    loaded: LoadedModel,
    label_ids: Sequence[ClassTokens],
    head: str,
    run: Callable[[], object],
    calibration: LogitCalibration | None,
) -> Any:
    """A sequence classification model with one output per class, or for ``span`` a question answering model.

    It takes over the modules of ``loaded.model``, which must not be used afterwards; ``run`` calls that on a few rows. Requires
    :func:`misfit` to be None.
    """
    language_model = loaded.model
    config = language_model.config
    weight, given = label_rows(language_model, label_ids, loaded.readout)
    bias = torch.zeros(len(weight)) if given is None else given
    if calibration is not None:
        weight, bias = weight * calibration.scale, bias * calibration.scale + torch.tensor(calibration.offsets)
    if adds_layer(loaded, head):
        transform_layer.append_transform(language_model, run)
        weight = torch.cat([weight, weight.new_zeros(len(weight), config.hidden_size - weight.shape[1])], dim=1)
    config.num_labels = len(label_ids)
    with torch.device("meta"):
        kind = AutoModelForQuestionAnswering if head == "span" else AutoModelForSequenceClassification
        model: Any = kind.from_config(config)  # type: ignore[no-untyped-call]
    base = language_model.base_model
    if getattr(model.base_model, "pooler", None) is not None:
        base.pooler = model.base_model.pooler
    setattr(model, model.base_model_prefix, base)
    if config.model_type == "modernbert":
        model.head = language_model.head
        config.classifier_pooling = "cls"
    if head == "span":
        _set_linear(model, "classifier" if config.model_type == "modernbert" else "qa_outputs", weight, bias)
    elif config.model_type in _HEADS:
        _linear_through(model, weight, bias)
    else:
        _set_linear(model, "score" if loaded.decoder_only else "classifier", weight, bias)
    return model.eval()


@torch.no_grad()
def reorder_classes(model: Any, columns: Sequence[int]) -> None:
    """Put the outputs of a sequence classification model into the order of ``columns``, in place."""
    for parameter in last_linear(model).parameters():
        parameter.copy_(parameter[list(columns)].clone())


@torch.no_grad()
def store_rows(loaded: LoadedModel, label_ids: Sequence[ClassTokens]) -> tuple[int, ...]:
    """Token of each class whose logit in the language model is that of the class.

    What was trained, and the mean of several tokens, is put into its own output embedding, in place, which is then no longer tied
    to the input's.
    """
    rows = _row_of_each(label_ids)
    if loaded.readout is None and rows == tuple(label_ids):
        return rows
    decoder = loaded.model.get_output_embeddings()
    means, biases = label_rows(loaded.model, label_ids, loaded.readout)
    weight = decoder.weight.detach().clone()
    weight[list(rows)] = means
    decoder.weight = nn.Parameter(weight, requires_grad=False)
    if biases is not None:
        decoder.bias[list(rows)] = biases
        # a tensor of its own: files hold one of two that are tied, and what is not tied is not read from the other
        decoder.bias = nn.Parameter(decoder.bias.detach().clone(), requires_grad=False)
    loaded.model.config.tie_word_embeddings = False
    return rows


def _row_of_each(label_ids: Sequence[ClassTokens]) -> tuple[int, ...]:
    """A token of each class that no class before has taken, the first of its own where one is left; pieces may be shared."""
    own = [list(token_shares(tokens)) for tokens in label_ids]
    taken: set[int] = set()
    rows = []
    others = (number for number in itertools.count() if all(number not in ids for ids in own))
    for ids in own:
        row = next((number for number in ids if number not in taken), None)
        rows.append(next(others) if row is None else row)
        taken.add(rows[-1])
    return tuple(rows)


def _linear_through(model: Any, weight: torch.Tensor, bias: torch.Tensor) -> None:
    """Rows [C, H] and biases behind a dense layer and an activation that leave them as they are.

    Each logit goes through several neurons, scaled, of which a sum makes it again.
    """
    dense_path, last_path, (scales, shares) = _HEADS[model.config.model_type]
    classes, states = weight.shape
    dense, shift, last = torch.zeros(states, states), torch.zeros(states), torch.zeros(classes, states)
    for i, (scale, share) in enumerate(zip(scales, shares, strict=True)):
        neurons = slice(i * classes, (i + 1) * classes)
        dense[neurons], shift[neurons], last[:, neurons] = scale * weight, scale * bias, share * torch.eye(classes)
    if model.config.model_type == "deberta-v2":
        model.config.pooler_hidden_act, model.config.pooler_hidden_size = "relu", states
    _set_linear(model, dense_path, dense, shift)
    _set_linear(model, last_path, last, torch.zeros(classes))


def _set_linear(model: Any, path: str, weight: torch.Tensor, bias: torch.Tensor) -> None:
    linear = model.get_submodule(path)
    linear.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
    if linear.bias is not None:
        linear.bias = nn.Parameter(bias, requires_grad=False)
