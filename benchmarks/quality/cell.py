"""One run of the grid: recipe, model, task, sparsity, budget and seed, with every setting resolved, and its key.

Made by :mod:`benchmarks.quality.grid`, sent to the process that runs it as JSON, and compared with the rows that are there.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from benchmarks.quality.recipes import Recipe, RecipeError
from pruning.spec.fields import BASELINE, LATER
from pruning.spec.schema import PruningSpec

_OF_THE_CELL = {"version", "model", "revision", "task", "sparsity", "seed", "max_steps", "epochs", "batch_size"}
"""Fields of a spec that a row has as columns of its own."""
_WITHOUT_EFFECT = {"eval_every", "checkpoint_every", "tier", "bad_rows_limit", *BASELINE}
"""Fields that do not change the result; ``tier`` only sets others, and no row of the benchmark's data is bad."""
_OFF: dict[str, Any] = {
    **LATER,  # prior_weights are those of minilm-l6-mlm, which all rows without the field have
    "keep": "last",
    "on_bad_rows": "refuse",
    "sparsity_by": {},
}
"""Values by which later fields do what was done before them, apart from None and false."""


class Cell(BaseModel):
    """A run, ready to be started."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str
    model: str
    task: str
    sparsity: float | None
    """None for a dense rival."""
    steps: int
    batch: int
    seed: int
    settings: dict[str, Any]
    """All of them, those with default values too."""

    @classmethod
    def from_recipe(
        cls, recipe: Recipe, *, model: str, task: str, sparsity: float, steps: int, batch: int, seed: int, common: Mapping[str, Any]
    ) -> Self:
        """The run of a recipe; ``common`` are settings of all runs. Raises RecipeError for settings that no spec has."""
        cell = cls(
            recipe=recipe.name,
            model=model,
            task=task,
            sparsity=sparsity if recipe.has_sparsity else None,
            steps=steps,
            batch=batch,
            seed=seed,
            settings={**common, **recipe.settings},
        )
        if recipe.kind != "pruning":
            return cell
        try:
            spec = cell.spec()
        except ValidationError as fault:
            first = fault.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise RecipeError(f"recipe {recipe.name!r}: {where}: {first['msg']}") from fault
        unused = set() if _trains_parameters(spec) else {"weight_learning_rate"}
        resolved = spec.model_dump(mode="json", exclude=_OF_THE_CELL | _WITHOUT_EFFECT | unused)
        return cell.model_copy(update={"settings": resolved})

    def spec(self, **further: Any) -> PruningSpec:
        """The spec of a recipe of kind ``pruning``. Raises pydantic.ValidationError."""
        own = {
            "model": self.model,
            "task": self.task,
            "sparsity": self.sparsity,
            "seed": self.seed,
            "max_steps": self.steps,
            "batch_size": self.batch,
        }
        return PruningSpec.model_validate({**self.settings, **own, **further})

    @property
    def title(self) -> str:
        """Short, for progress."""
        sparsity = "" if self.sparsity is None else f" {100 * self.sparsity:g} %"
        return f"{self.recipe} {self.task}{sparsity} {self.steps}x{self.batch} seed {self.seed}"

    @property
    def slug(self) -> str:
        """Name of a folder: model and title, in letters, digits and ``-.=``."""
        return re.sub(r"[^\w.=]+", "-", f"{self.model} {self.title}")

    def is_run_of(self, row: Mapping[str, Any]) -> bool:
        """Whether ``row`` is a finished run of this cell, with the same settings.

        A setting that the row lacks was added to the spec later. It is what it was then if it is off, and for the
        presets ``paper`` and ``upstream``, whose mathematics does not move.
        """
        columns = ("recipe", "model", "task", "sparsity", "steps", "batch", "seed")
        if any(getattr(self, name) != row[name] for name in columns):
            return False
        theirs: dict[str, Any] = row["settings"]
        pinned = self.settings.get("preset") in ("paper", "upstream")
        return all(
            theirs[name] == value if name in theirs else pinned or value in (None, False, _OFF.get(name))
            for name, value in self.settings.items()
        )


def _trains_parameters(spec: PruningSpec) -> bool:
    """Whether anything but scores moves; a classifier may be new."""
    return spec.method_info.trains_weights or spec.train_biases or spec.train_readout or spec.head == "classifier"


class Order(BaseModel):
    """A cell with further arguments of its process, which do not change the result."""

    cell: Cell
    models_dirs: list[Path]
    datasets_dir: Path
    evaluations: int
    """Points of the learning curve, the last one included."""
    heldout_rows: int
    """Most unseen training rows to evaluate on."""
    masks_to: Path | None = None
    """Folder that gets one for each pruning run, with its mask and trained weights."""
