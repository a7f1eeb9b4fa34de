"""Statistics of the quality benchmark's rows: means with standard errors, differences paired by seed, seconds to a metric.

Called by :mod:`benchmarks.quality.markdown` and :mod:`benchmarks.quality.figure`. Only rows whose settings are those that the
recipe has now are counted, so that a table never mixes versions of a recipe.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import ValidationError

from benchmarks.quality.cell import Cell
from benchmarks.quality.recipes import RECIPES, Recipe, RecipeError
from benchmarks.quality.rows import Row


@dataclass(frozen=True)
class Estimate:
    """A mean and its standard error; without one for a single run."""

    mean: float
    error: float | None
    runs: int

    @classmethod
    def from_values(cls, values: Sequence[float]) -> "Estimate | None":
        """None where there are no values."""
        if not values:
            return None
        error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
        return cls(statistics.mean(values), error, len(values))


@dataclass(frozen=True)
class Setting:
    """What the groups of one table have in common."""

    model: str
    task: str
    steps: int
    batch: int
    max_length: int
    precision: str
    device: str

    @property
    def slug(self) -> str:
        """Part of a file's name."""
        parts = [self.model, self.task, f"{self.steps}x{self.batch}"]
        parts += [] if self.precision == "fp32" else [self.precision]
        return "-".join(parts).replace("/", "-")


@dataclass(frozen=True)
class Group:
    """Runs of one recipe at one sparsity that differ by their seed alone."""

    setting: Setting
    recipe: str
    sparsity: float | None
    runs: dict[int, Row] = field(default_factory=dict)
    """By seed, the newest of each."""
    variants: int = 1
    """Settings of a rival of which this is the best."""

    @property
    def metric(self) -> str:
        """The task's primary metric."""
        return str(next(iter(self.runs.values()))["primary_metric"])

    def validation(self) -> dict[int, float]:
        """Primary metric on the validation rows, by seed."""
        return {seed: row["metrics"][self.metric] for seed, row in self.runs.items()}

    def held_out(self) -> dict[int, float]:
        """Primary metric on the held-out rows, by seed; of the runs that had some left."""
        return {seed: row["heldout"][self.metric] for seed, row in self.runs.items() if row["heldout"]}

    def mean(self, read: Callable[[Row], float]) -> float:
        """Mean over the runs of a number of each."""
        return statistics.mean(read(row) for row in self.runs.values())

    def seconds_to(self, metric: float) -> list[float]:
        """Seconds of processor time in training until ``metric``, of the runs that reached it; linear between two points."""
        return [found for row in self.runs.values() if (found := _crossing(row, metric)) is not None]


@dataclass(frozen=True)
class Summary:
    """All groups, and what was left out."""

    groups: list[Group]
    outdated: int
    """Rows of recipes whose settings have changed since, or that exist no more."""

    def settings(self) -> list[Setting]:
        """Tables to be made, in order."""
        found = {group.setting for group in self.groups}
        return sorted(found, key=lambda one: (one.model, one.task, one.steps * one.batch, one.steps, one.precision))

    def of(self, setting: Setting) -> list[Group]:
        """The groups of a table, in the order of the recipe table."""
        order = {name: number for number, name in enumerate(RECIPES)}
        return sorted(
            (group for group in self.groups if group.setting == setting),
            key=lambda group: (group.sparsity or 0.0, order[group.recipe.split("@")[0]], group.recipe),
        )

    def plain(self, setting: Setting) -> list[Group]:
        """The groups of a table without changed recipes (``NAME@field=value``) whose NAME has a group of the same sparsity too."""
        groups = self.of(setting)
        there = {(group.recipe, group.sparsity) for group in groups}
        return [group for group in groups if "@" not in group.recipe or (group.recipe.split("@")[0], group.sparsity) not in there]


def summarize(rows: Iterable[Row], only: Mapping[str, str] | None = None) -> Summary:
    """Group ``rows`` whose columns are as ``only`` says; of a rival's settings keep the best by its mean on the validation rows."""
    groups: dict[tuple[Setting, str, float | None], Group] = {}
    outdated = 0
    for row in rows:
        if any(str(row[name]) != value for name, value in (only or {}).items()):
            continue
        if not _is_current(row):
            outdated += 1
            continue
        settings = row["settings"]
        setting = Setting(
            row["model"], row["task"], row["steps"], row["batch"], settings["max_length"], settings["precision"], row["device"]
        )
        key = (setting, row["recipe"], row["sparsity"])
        groups.setdefault(key, Group(*key)).runs[row["seed"]] = row
    return Summary(_best_rivals(groups.values()), outdated)


def as_json(summary: Summary) -> list[dict[str, Any]]:
    """Mean and standard error of every group."""
    return [
        {
            **asdict(group.setting),
            "recipe": group.recipe,
            "sparsity": group.sparsity,
            "runs": len(group.runs),
            "metric": group.metric,
            **{
                name: None if found is None else asdict(found)
                for name, found in (
                    ("validation", Estimate.from_values(list(group.validation().values()))),
                    ("held_out", Estimate.from_values(list(group.held_out().values()))),
                )
            },
        }
        for group in summary.groups
    ]


def paired(group: Group, other: Group) -> tuple[Estimate | None, str]:
    """Mean difference of the primary metric, seed by seed, and on which rows: held-out ones where both have them."""
    for rows, ours, theirs in (
        ("held-out", group.held_out(), other.held_out()),
        ("validation", group.validation(), other.validation()),
    ):
        seeds = sorted(ours.keys() & theirs.keys())
        if seeds:
            return Estimate.from_values([ours[seed] - theirs[seed] for seed in seeds]), rows
    return None, ""


def _is_current(row: Row) -> bool:
    settings = row["settings"]
    common = {name: settings[name] for name in ("max_length", "precision")}
    try:
        recipe = Recipe.from_text(row["recipe"])
        if recipe.kind == "pruning" and settings["head"] == "classifier":
            common["head"] = "classifier"
        cell = Cell.from_recipe(
            recipe,
            model=row["model"],
            task=row["task"],
            sparsity=row["sparsity"] or 0.0,
            steps=row["steps"],
            batch=row["batch"],
            seed=row["seed"],
            common=common,
        )
    except (RecipeError, ValidationError):
        return False
    return cell.is_run_of(row)


def _best_rivals(groups: Iterable[Group]) -> list[Group]:
    kept: list[Group] = []
    rivals: dict[tuple[Setting, str, float | None], list[Group]] = {}
    for group in groups:
        name = group.recipe.split("@")[0]
        if RECIPES[name].rival:
            rivals.setdefault((group.setting, name, group.sparsity), []).append(group)
        else:
            kept.append(group)
    for variants in rivals.values():
        most = max(len(group.runs) for group in variants)
        best = max(
            (group for group in variants if len(group.runs) == most), key=lambda group: statistics.mean(group.validation().values())
        )
        kept.append(Group(best.setting, best.recipe, best.sparsity, best.runs, len(variants)))
    return kept


def _crossing(row: Row, metric: float) -> float | None:
    before: tuple[float, float] | None = None
    for _, _, _, value, cpu in row["curve"]:
        if value >= metric:
            if before is None:
                return float(cpu)
            start, low = before
            return float(start + (cpu - start) * (metric - low) / (value - low))
        before = (cpu, value)
    return None
