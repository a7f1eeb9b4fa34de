"""Command line of the quality benchmark: ``run``, ``table``, ``recipes``; the last line of standard output is one JSON object.

    python -m benchmarks.quality run --recipes espalier,smp-s,full --tasks sst2 --sparsities 0.9,0.97 --budgets 1000x8
        --seeds 1,2,3 --workers 1
    python -m benchmarks.quality table --against smp-s

``run`` does what is not in the rows file yet; progress goes to standard error. ``--set field=value`` changes a field of every
pruning recipe named, ``NAME@field=value`` of one; ``--grid full.learning_rate=2e-5,5e-5`` makes a recipe of each value.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.quality import rows
from benchmarks.quality.cell import Order
from benchmarks.quality.grid import BASE_SIZE, TASKS, Axes, build
from benchmarks.quality.markdown import PageError
from benchmarks.quality.recipes import RECIPES, Recipe, RecipeError
from benchmarks.quality.scheduler import Scheduler

_DATA = Path(os.environ.get("ESPALIER_TEST_DATA", rows.ROOT.parent / "shared" / "data"))
_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
DOCS = rows.ROOT / "docs"
MODELS_DIRS = (_DATA / "models", _CACHE / "espalier-data" / "models")
DEFAULT_MODEL = "minilm-l6-mlm"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0, 1 where a run failed, 2 for a command line that cannot be."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["one"]:
        from benchmarks.quality import one_run

        one_run.main(given[1])
        return 0
    parsed = _parser().parse_args(given)
    try:
        found: int = parsed.command(parsed)
    except (RecipeError, PageError) as fault:
        print(f"python -m benchmarks.quality: {fault}", file=sys.stderr)
        return 2
    return found


def _list_of(convert: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    def words(text: str) -> list[Any]:
        return [convert(word.strip()) for word in text.split(",") if word.strip()]

    words.__name__ = f"comma-separated {convert.__name__}"  # argparse names it in its errors
    return words


def budget(text: str) -> tuple[int, int]:
    """``1000x8``: steps, rows of a batch. Raises ValueError."""
    steps, rows_of_batch = text.split("x")
    return int(steps), int(rows_of_batch)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="train and evaluate what is not there yet")
    run.set_defaults(command=_run)
    _add_axes(run)
    run.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="of every pruning recipe named")
    run.add_argument(
        "--grid", action="append", default=[], metavar="RECIPE.FIELD=V1,V2", help="a recipe of each value in place of RECIPE"
    )
    run.add_argument("--workers", type=int, default=1, help="runs at a time")
    run.add_argument("--threads", type=int, default=1, help="of each run")
    run.add_argument("--evaluations", type=int, default=5, help="points of the learning curve, the last one included")
    run.add_argument("--heldout-rows", type=int, default=3000, help="unseen training rows to evaluate on; fewer where fewer remain")
    run.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    run.add_argument("--max-length", type=int, default=64, help="tokens")
    run.add_argument("--masks-to", type=Path, metavar="FOLDER", help="keep the masks of runs here, a folder for each")
    run.add_argument("--dry-run", action="store_true", help="say what would be run")
    table = commands.add_parser("table", help="write page, README block and figures from the rows")
    table.set_defaults(command=_table)
    table.add_argument("--against", default="smp-s", help="recipe that the others are compared with, seed by seed")
    table.add_argument("--out", type=Path, default=rows.ROWS, help="rows file; others in its folder are read as well")
    table.add_argument("--page", type=Path, default=DOCS / "explanation" / "quality.md", help="page with the two marks")
    table.add_argument("--images", type=Path, default=DOCS / "images", help="folder of the figures")
    table.add_argument(
        "--readme", type=Path, default=rows.ROOT / "README.md", help="page with the two marks for the table in short"
    )
    table.add_argument("--only", action="append", default=[], metavar="FIELD=VALUE", help="model, task, steps, batch of tables")
    recipes = commands.add_parser("recipes", help="list the recipes")
    recipes.set_defaults(command=_recipes)
    return parser


def _add_axes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--recipes", type=_list_of(str), default=["espalier", "smp-s"], help="see the command recipes")
    parser.add_argument("--models", type=_list_of(str), default=[DEFAULT_MODEL], help=f"{DEFAULT_MODEL} or {BASE_SIZE}, by folder")
    parser.add_argument("--tasks", type=_list_of(str), default=["sst2"], help=",".join(TASKS))
    parser.add_argument("--sparsities", type=_list_of(float), default=[0.9, 0.97])
    parser.add_argument("--budgets", type=_list_of(budget), default=[(1000, 8)], help="steps x rows of a batch: 1000x8")
    parser.add_argument("--seeds", type=_list_of(int), default=[1, 2, 3])
    parser.add_argument("--models-dir", type=Path, action="append", help=f"default {' and '.join(map(str, MODELS_DIRS))}")
    parser.add_argument("--datasets-dir", type=Path, default=_DATA / "glue")
    parser.add_argument("--out", type=Path, default=rows.ROWS, help="rows file")


def chosen_recipes(arguments: argparse.Namespace) -> list[Recipe]:
    """The recipes of ``--recipes`` with ``--set`` and ``--grid`` applied. Raises RecipeError."""
    texts = ["@".join([text, *arguments.set]) if Recipe.from_text(text).kind == "pruning" else text for text in arguments.recipes]
    for given in arguments.grid:
        place, equals, values = given.partition("=")
        name, dot, field = place.rpartition(".")
        if not (equals and dot) or name not in arguments.recipes:
            raise RecipeError(f"--grid {given!r} is not RECIPE.FIELD=V1,V2 with a recipe of --recipes")
        number = arguments.recipes.index(name)
        texts += [f"{texts[number]}@{field}={value}" for value in values.split(",")]
    gridded = {given.partition("=")[0].rpartition(".")[0] for given in arguments.grid}
    replaced = {texts[i] for i, name in enumerate(arguments.recipes) if name in gridded}
    return [Recipe.from_text(text) for text in dict.fromkeys(texts) if text not in replaced]


def _run(arguments: argparse.Namespace) -> int:
    directories = arguments.models_dir or list(MODELS_DIRS)
    axes = Axes(
        chosen_recipes(arguments),
        arguments.models,
        arguments.tasks,
        arguments.sparsities,
        arguments.budgets,
        arguments.seeds,
        arguments.max_length,
        arguments.precision,
    )
    grid = build(axes, directories, arguments.datasets_dir)
    for reason in grid.skipped:
        print(f"skipped: {reason}", file=sys.stderr)
    if arguments.dry_run:
        there = rows.read(arguments.out)
        for cell in grid.cells:
            print(f"{'present' if rows.find(there, cell) else 'to run '} {cell.model} {cell.title}", file=sys.stderr)
        print(json.dumps({"benchmark": "quality", "cells": len(grid.cells), "skipped": grid.skipped}))
        return 0
    orders = [
        Order(
            cell=cell,
            models_dirs=directories,
            datasets_dir=arguments.datasets_dir,
            evaluations=arguments.evaluations,
            heldout_rows=arguments.heldout_rows,
            masks_to=arguments.masks_to,
        )
        for cell in grid.cells
    ]
    done = Scheduler(arguments.out, arguments.workers, arguments.threads).run(orders)
    print(
        json.dumps(
            {
                "benchmark": "quality",
                "ran": done.ran,
                "present": done.present,
                "failed": done.failed,
                "skipped": grid.skipped,
                "rows": arguments.out.name,
            }
        )
    )
    return 1 if done.failed else 0


def _table(arguments: argparse.Namespace) -> int:
    from benchmarks.quality import figure, markdown, summary  # matplotlib, which the runs do without

    found = summary.summarize(rows.read(arguments.out), dict(given.split("=", 1) for given in arguments.only))
    figures = dict[summary.Setting, list[Path]]()
    for setting in found.settings():
        figures[setting] = [arguments.images / f"quality-{setting.slug}{kind}.svg" for kind in ("", "-seconds")]
        for file, draw in zip(figures[setting], (figure.draw_shares, figure.draw_seconds), strict=True):
            draw(found.plain(setting), file)

    def seen_from(page: Path) -> dict[summary.Setting, list[str]]:
        return {setting: [os.path.relpath(file, page.parent) for file in files] for setting, files in figures.items()}

    markdown.insert(arguments.page, markdown.sections(found, arguments.against, seen_from(arguments.page)))
    readme: Path = arguments.readme
    link = os.path.relpath(arguments.page, readme.parent)
    markdown.insert(readme, markdown.digest(found, seen_from(readme), link))
    print(json.dumps({"benchmark": "quality", "groups": summary.as_json(found), "outdated_rows": found.outdated}))
    return 0


def _recipes(_: argparse.Namespace) -> int:
    for recipe in RECIPES.values():
        print(f"{recipe.name:28} {recipe.summary}; {json.dumps(recipe.settings)}", file=sys.stderr)
    print(json.dumps({recipe.name: recipe.settings for recipe in RECIPES.values()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
