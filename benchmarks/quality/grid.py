"""The grid of runs that a command line asks for, in an order in which every prefix is worth having.

Called by the commands ``run`` and ``table``. What cannot be run on this machine (a model, a data set or a library that is
not there) is left out, with the reason.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from benchmarks.quality.cell import Cell
from benchmarks.quality.recipes import Recipe
from pruning.errors import PermanentError
from pruning.hub.local import find_folder
from pruning.models.checks import check_model_folder
from pruning.sources import Sources

TASKS = ("sst2", "mrpc", "rte", "cola", "stsb")
BASE_SIZE = "all-mpnet-base-v2"
_REMEDY = {BASE_SIZE: "; get_base_model.sh of the project's data brings it"}


@dataclass(frozen=True)
class Grid:
    """Runs, and reasons for those that cannot be."""

    cells: list[Cell]
    skipped: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Axes:
    """What a command line names."""

    recipes: Sequence[Recipe]
    models: Sequence[str]
    tasks: Sequence[str]
    sparsities: Sequence[float]
    budgets: Sequence[tuple[int, int]]
    """Steps, rows of a batch."""
    seeds: Sequence[int]
    max_length: int = 64
    precision: str = "fp32"


def build(axes: Axes, models_dirs: Sequence[Path], datasets_dir: Path) -> Grid:
    """Every run of ``axes`` once, seeds outermost: an interrupted grid has all recipes of its first seeds.

    Raises RecipeError for settings that no spec has.
    """
    skipped: list[str] = []
    models = {name: folder for name in axes.models if (folder := _model(name, models_dirs, skipped)) is not None}
    tasks = [name for name in axes.tasks if _has_task(name, datasets_dir, skipped)]
    recipes = [recipe for recipe in axes.recipes if _has_library(recipe, skipped)]
    common = {"max_length": axes.max_length, "precision": axes.precision}
    cells: dict[str, Cell] = {}
    grid = itertools.product(axes.seeds, models, tasks, axes.budgets, axes.sparsities, recipes)
    for seed, model, task, (steps, batch), sparsity, recipe in grid:
        given = common
        if recipe.kind == "pruning" and not has_lm_head(models[model]):
            given = {**common, "head": "classifier"}
        cell = Cell.from_recipe(
            recipe, model=model, task=task, sparsity=sparsity, steps=steps, batch=batch, seed=seed, common=given
        )
        cells.setdefault(cell.model_dump_json(), cell)  # a dense rival comes up once for each sparsity
    return Grid(list(cells.values()), skipped)


def has_lm_head(folder: Path) -> bool:
    """Whether a checkpoint's files have the tensors of a language-model head; one without needs ``head: classifier``.

    Its configuration does not decide: it may name a head that was not stored. Raises PermanentError for a folder
    that cannot be used at all.
    """
    try:
        check_model_folder(folder, (), "label-words")
    except PermanentError as fault:
        if fault.code != "model_head_missing":
            raise
        return False
    return True


def sources_for(model: str, models_dirs: Sequence[Path], datasets_dir: Path, token_cache: Path | None) -> Sources:
    """Sources of one run: the directory that has its model; never the hub."""
    directory = next((each for each in models_dirs if find_folder(each, model) is not None), None)
    return Sources(directory, datasets_dir, hub=False, token_cache=token_cache)


def _model(name: str, directories: Sequence[Path], skipped: list[str]) -> Path | None:
    for directory in directories:
        folder = find_folder(directory, name)
        if folder is not None:
            return folder
    looked = ", ".join(map(str, directories))
    skipped.append(f"model {name}: not under {looked}{_REMEDY.get(name, '')}")
    return None


def _has_task(name: str, directory: Path, skipped: list[str]) -> bool:
    if find_folder(directory, name) is None:
        skipped.append(f"task {name}: no folder {name} under {directory}; give --datasets-dir")
        return False
    return True


def _has_library(recipe: Recipe, skipped: list[str]) -> bool:
    if recipe.kind == "lora" and find_spec("peft") is None:
        skipped.append(f"recipe {recipe.name}: the optional package peft is not installed; pip install peft")
        return False
    return True
