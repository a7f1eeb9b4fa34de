"""Recipes of the quality benchmark: named settings of a pruning spec, ablations of the default, and rivals.

A recipe is written ``NAME`` or ``NAME@field=value@field=value``: the entry of :data:`RECIPES` with some settings replaced. To
add an ablation, add an entry to :data:`ABLATIONS`.
"""

import json
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

Kind = Literal["pruning", "full", "lora", "probe"]


class RecipeError(ValueError):
    """A recipe that is not in the table, or a setting that it does not have."""


@dataclass(frozen=True)
class Recipe:
    """What is trained and how, apart from model, task, sparsity, budget and seed."""

    name: str
    summary: str
    kind: Kind = "pruning"
    settings: dict[str, Any] = field(default_factory=dict)
    """Fields of a PruningSpec, or all settings of a rival."""
    rival: bool = False
    """Whether it is here to be compared with: of several settings the table shows the best."""

    @property
    def has_sparsity(self) -> bool:
        """Whether one run belongs to one sparsity; dense rivals are run once for all of them."""
        return self.kind == "pruning"

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The recipe ``NAME@field=value…``; values are JSON, or else words. Raises RecipeError."""
        name, *changes = text.split("@")
        if name not in RECIPES:
            raise RecipeError(f"unknown recipe {name!r}; one of {', '.join(RECIPES)}, or NAME@field=value")
        found = RECIPES[name]
        settings = dict(found.settings)
        for change in changes:
            key, equals, value = change.partition("=")
            if not equals or (found.kind != "pruning" and key not in settings):
                known = "" if found.kind == "pruning" else f"; {name} has {', '.join(settings)}"
                raise RecipeError(f"{change!r} of recipe {text!r} is not a field=value{known}")
            settings[key] = _value(value)
        return replace(found, name=text, settings=settings)  # type: ignore[return-value]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


_DENSE = {"learning_rate": 5e-5, "warmup": 0.06, "weight_decay": 0.0, "max_grad_norm": 1.0, "model_dropout": None}
"""AdamW, linear warm-up over that share of the steps, then linear to 0; None: the checkpoint's dropout."""
ABLATIONS: dict[str, dict[str, Any]] = {
    "log-prior": {"prior": "wanda", "prior_strength": 1.0},
    "biases": {"train_biases": True, "weight_learning_rate": 1e-3},
    "biases+log-prior": {"train_biases": True, "weight_learning_rate": 1e-3, "prior": "wanda", "prior_strength": 1.0},
    "short-ramp": {"ramp": 0.25, "hold": 0.7},
    "dropout": {"dropout": None},  # the checkpoint's
}
"""Changes of the default recipe, one lever each or a named sum; ``ablation:NAME``."""
RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("espalier", "the default recipe: scores only"),
        Recipe("smp-s", "SMP-S as in the paper", settings={"preset": "paper", "method": "smp-s"}),
        Recipe(
            "magnitude",
            "gradual magnitude pruning, weights trained",
            settings={"preset": "paper", "method": "magnitude"},
            rival=True,
        ),
        Recipe("movement", "movement pruning, weights trained", settings={"preset": "paper", "method": "movement"}, rival=True),
        Recipe("full", "full fine-tuning of the dense model", "full", _DENSE, rival=True),
        Recipe(
            "lora",
            "LoRA on query and value (peft)",
            "lora",
            {**_DENSE, "learning_rate": 1e-3, "rank": 8, "alpha": 16, "dropout": 0.0},
            rival=True,
        ),
        Recipe("probe", "linear probe on frozen [CLS] and mean states", "probe", {"c": 0.01}, rival=True),
        *(Recipe(f"ablation:{name}", f"default with {name}", settings=given) for name, given in ABLATIONS.items()),
    )
}
