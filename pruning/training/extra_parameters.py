"""Extra parameters of a run: what is trained in addition to scores and masked weights, and the bound of a tier on it.

Biases and norms of the encoder (``train_biases``), the read-out (``train_readout``), and a classifier that the checkpoint lacks.
All are stored in ``weights.safetensors`` (:mod:`pruning.formats.trained_weights`). Called by :mod:`pruning.training.build`.
"""

from dataclasses import dataclass

from torch import nn

from pruning.errors import PermanentError
from pruning.models.heads import ClassifierHead, LabelWordHead
from pruning.models.loading import LoadedModel
from pruning.spec.schema import PruningSpec

MAX_SHARE = 0.005
"""Largest share of the masked weights, in tier masks+extras. A transformer of width H has about 1.1 / H in biases and norms: 0.14 %
at 768, 0.28 % at 384."""


@dataclass(frozen=True)
class ExtraParameters:
    """Parameters outside the masked matrices that a run trains."""

    names: tuple[str, ...]
    """Names in the model, under which they are stored."""
    stored: tuple[nn.Parameter, ...]
    """Those parameters."""
    readout: nn.Linear | None
    """The label words' rows, where they are trained; not a part of the model that a mask is applied to."""
    bounded: int
    """Number of values that a tier bounds: all but those of a classifier that the checkpoint lacks, without which there
    would be no task."""

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All parameters, in the order that a resumed run has."""
        return [*self.stored, *(self.readout.parameters() if self.readout is not None else ())]

    @property
    def count(self) -> int:
        """Number of values in all of them."""
        return sum(parameter.numel() for parameter in self.parameters)


def unfreeze(loaded: LoadedModel, head: LabelWordHead | ClassifierHead, spec: PruningSpec) -> ExtraParameters:
    """Make the parameters trainable that the spec trains in addition to scores and masked weights."""
    model, new = loaded.model, loaded.new_parameters
    prefix = f"{model.base_model_prefix}."
    readout = head.readout if spec.train_readout else None
    in_model = set() if readout is None or isinstance(head, LabelWordHead) else set(readout.parameters())
    named = {
        name: parameter
        for name, parameter in model.named_parameters()
        if name in new or (spec.train_biases and parameter.ndim == 1 and name.startswith(prefix)) or parameter in in_model
    }
    extras = ExtraParameters(
        tuple(named),
        tuple(named.values()),
        None if in_model else readout,
        bounded=sum(parameter.numel() for name, parameter in named.items() if name not in new)
        + (0 if in_model or readout is None else sum(parameter.numel() for parameter in readout.parameters())),
    )
    for parameter in extras.parameters:
        parameter.requires_grad_()
    return extras


def require_small(spec: PruningSpec, extras: ExtraParameters, masked_weights: int) -> None:
    """Raise PermanentError (``tier_exceeded``) if tier masks+extras would train more than its share."""
    if spec.tier == "masks" or extras.bounded <= MAX_SHARE * masked_weights:
        return
    share = extras.bounded / masked_weights
    raise PermanentError(
        f"tier {spec.tier} trains at most {MAX_SHARE:.1%} of the {masked_weights:,} masked weights; biases, norms and read-out of "
        f"this model are {extras.bounded:,} ({share:.2%}). Take a wider model, or leave tier out and set train_biases or "
        "train_readout, which have no bound",
        code="tier_exceeded",
        param="tier",
    )
