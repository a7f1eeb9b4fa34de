"""Metadata of a pruning method: the row of the catalogue, and what a plug-in package declares (entry point ``espalier.methods``).

Torch-free: the API reads it. A package that adds a method declares an entry point of this group, named like the method, which leads
to a :class:`MethodPlugin` in a module that imports no torch either.
"""

import math
import re
from dataclasses import dataclass
from typing import Literal, get_args

Trains = Literal["scores", "weights", "scores and weights", "nothing"]
CountedBy = Literal["matrix", "group", "model", "row"]
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_MAX_NAME, _MAX_SUMMARY = 40, 300
_MAX_LEARNING_RATE, _MAX_REGULARIZATION = 10.0, 1e6
"""The bounds of the fields of a spec that take their defaults from here."""
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class MethodInfo:
    """One row of the catalogue."""

    name: str
    summary: str
    trains: Trains
    """Weights that are trained are stored in addition to the mask."""
    learning_rate: float
    """Learning rate of the scores; unused where there are none."""
    regularization: float
    """λ."""
    sparsity: Literal["asked", "emerges"] = "asked"
    """``emerges``: the share that remains follows from λ and the threshold, and is reported."""
    two_four: bool = True
    """Whether pattern 2:4 is possible."""
    counted_by: CountedBy | None = None
    """Unit in which the weights to keep are counted, each count rounded down; single matrices may then have a sparsity of their own
    (``sparsity_by``). None: they may not."""
    takes_prior: bool = False
    """Whether scores may start from a prior, which is then the default except with the presets paper and upstream."""

    @property
    def trains_scores(self) -> bool:
        """Whether scores move during the run."""
        return self.trains in ("scores", "scores and weights")

    @property
    def trains_weights(self) -> bool:
        """Whether the masked weights are trained; they are then part of the result."""
        return self.trains in ("weights", "scores and weights")


@dataclass(frozen=True)
class MethodPlugin:
    """A method of another package: its row, and where the trainer finds its class."""

    info: MethodInfo
    implementation: str
    """``package.module:Class``; called with the resolved :class:`pruning.spec.schema.PruningSpec`, it returns a
    :class:`pruning.masking.methods.base.Method`. Imported by the trainer alone, so it may import torch."""


def is_method_name(name: str) -> bool:
    """Whether a method can have this name: lower case words joined by hyphens."""
    return len(name) <= _MAX_NAME and _NAME.fullmatch(name) is not None


def fault_of(plugin: object, name: str) -> str | None:
    """Fault of the object that entry point ``name`` leads to; None for a valid one."""
    if not isinstance(plugin, MethodPlugin):
        return f"it leads to {type(plugin).__name__}, not to a MethodPlugin"
    info = plugin.info
    if not isinstance(info, MethodInfo) or not isinstance(info.name, str):
        return "its info is not a MethodInfo"
    if not isinstance(plugin.implementation, str) or not _TARGET.fullmatch(plugin.implementation):
        return f"implementation must read package.module:Class, not {plugin.implementation!r}"
    return _fault_of_text(info, name) or _fault_of_values(info)


def _fault_of_text(info: MethodInfo, name: str) -> str | None:
    if info.name != name:
        return f"the entry point is named {name!r} and its MethodInfo {info.name!r}; give both one name"
    if not is_method_name(name):
        return f"its name must be lower case words joined by hyphens, of at most {_MAX_NAME} characters"
    if not isinstance(info.summary, str) or not 0 < len(info.summary) <= _MAX_SUMMARY:
        return f"its summary must be a sentence of at most {_MAX_SUMMARY} characters"
    return None


def _fault_of_values(info: MethodInfo) -> str | None:
    if info.trains not in get_args(Trains):
        return f"trains must be one of {', '.join(get_args(Trains))}"
    if info.sparsity not in ("asked", "emerges"):
        return "sparsity must be asked or emerges"
    if info.counted_by is not None and info.counted_by not in get_args(CountedBy):
        return f"counted_by must be None or one of {', '.join(get_args(CountedBy))}"
    for field, limit in (("learning_rate", _MAX_LEARNING_RATE), ("regularization", _MAX_REGULARIZATION)):
        value = getattr(info, field)
        if not isinstance(value, int | float) or not math.isfinite(value) or not 0 <= value <= limit:
            return f"{field} must be a number from 0 to {limit:g}"
    return None
