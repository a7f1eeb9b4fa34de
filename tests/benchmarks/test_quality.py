"""The quality benchmark on a toy: run, resume, rows, table."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from benchmarks.quality import __main__ as program
from benchmarks.quality import heldout, rows
from benchmarks.quality.cell import Cell, Order
from benchmarks.quality.grid import Axes, build
from benchmarks.quality.one_run import execute
from benchmarks.quality.recipes import Recipe, RecipeError
from benchmarks.quality.rivals.inputs import reading_spec
from pruning.data.batching import BatchStream
from pruning.inference.evaluation import evaluate_mask
from pruning.inference.pruned_model import load_pruned
from pruning.sources import Sources
from tests.toy_datasets import make_opinions
from tests.toy_models import make_model

pytestmark = pytest.mark.slow

RECIPES = "espalier,smp-s,magnitude,movement,full,lora,probe"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model ``toy``, a task, and the rows of every kind of recipe."""
    folder = tmp_path_factory.mktemp("quality")
    make_model(folder / "models" / "toy")
    make_opinions(folder / "datasets" / "sst2", train=heldout.CALIBRATION + 300, validation=40)
    return folder


def command(folder: Path, *further: str) -> list[str]:
    return [
        "run",
        "--models",
        "toy",
        "--budgets",
        "6x8",
        "--sparsities",
        "0.5",
        "--seeds",
        "1",
        "--max-length",
        "32",
        "--models-dir",
        str(folder / "models"),
        "--datasets-dir",
        str(folder / "datasets"),
        "--evaluations",
        "2",
        "--out",
        str(folder / "results" / "rows.jsonl"),
        *further,
    ]


def axes_of(*recipes: str) -> Axes:
    return Axes([Recipe.from_text(text) for text in recipes], ["toy"], ["sst2"], [0.5], [(6, 8)], [1], max_length=32)


@pytest.fixture(scope="module")
def made(folder: Path) -> list[dict[str, Any]]:
    """One of each kind here, where torch is loaded; the default recipe last, by the command and in a process of its own."""
    file = folder / "results" / "rows.jsonl"
    for cell in build(axes_of(*RECIPES.split(",")[1:]), [folder / "models"], folder / "datasets").cells:
        order = Order(
            cell=cell, models_dirs=[folder / "models"], datasets_dir=folder / "datasets", evaluations=2, heldout_rows=3000
        )
        (folder / cell.recipe).mkdir()
        rows.append(file, execute(order, folder / cell.recipe, "unknown", lambda text: None))
    assert program.main(command(folder, "--recipes", RECIPES, "--masks-to", str(folder / "masks"))) == 0
    return rows.read(file)


def test_every_kind_of_recipe_gives_a_whole_row(made: list[dict[str, Any]]) -> None:
    assert {row["recipe"] for row in made} == set(RECIPES.split(","))
    for row in made:
        assert row["rows_seen"] == 48
        assert row["heldout_rows"] in range(200, 301)  # the 48 rows seen are anywhere in the split
        assert set(row["heldout"]) == set(row["metrics"]) == {"accuracy"}
        assert row["seconds_total"] >= row["seconds_training"] > 0
        assert row["curve"][-1][0] == 6
        assert row["curve"][-1][3] == row["metrics"]["accuracy"]
        assert row["artifact_bytes"] > 0
        dense = row["recipe"] in ("full", "lora", "probe")
        assert (row["sparsity"] is None) == dense
        assert (row["extra_parameters"] > 0) == (dense or row["recipe"] in ("magnitude", "movement"))
    smallest = {row["recipe"]: row["extra_parameters"] for row in made}
    assert smallest["probe"] < smallest["lora"] < smallest["full"]


def test_rows_that_are_there_are_not_run_again(
    folder: Path, made: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(command(folder, "--recipes", RECIPES, "--sparsities", "0.5,0.75", "--dry-run")) == 0
    printed = capsys.readouterr().err
    assert printed.count("present") == len(made)
    assert printed.count("to run ") == 4  # of the pruning recipes alone
    assert program.main(command(folder, "--recipes", RECIPES)) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["ran"] == 0
    assert len(rows.read(folder / "results" / "rows.jsonl")) == len(made)


def test_masks_are_kept_where_asked_for(folder: Path, made: list[dict[str, Any]]) -> None:
    kept = sorted(folder.glob("masks/*/mask.espalier"))
    assert [mask.parent.name for mask in kept] == ["toy-espalier-sst2-50-6x8-seed-1"]
    row = next(row for row in made if row["recipe"] == "espalier")
    assert kept[0].stat().st_size == row["artifact_bytes"]
    sources = Sources(folder / "models", folder / "datasets", hub=False)
    assert evaluate_mask(load_pruned(kept[0], sources=sources), sources) == pytest.approx(row["metrics"])


def cell_of(folder: Path, recipe: str) -> Cell:
    (cell,) = build(axes_of(recipe), [folder / "models"], folder / "datasets").cells
    return cell


def test_settings_that_were_added_to_the_spec_since_do_not_undo_pinned_presets(folder: Path, made: list[dict[str, Any]]) -> None:
    for recipe, still in (("smp-s", True), ("espalier", False)):
        cell = cell_of(folder, recipe)
        newer = cell.model_copy(update={"settings": {**cell.settings, "lever": 0.5}})
        assert rows.find(made, cell) is not None
        assert (rows.find(made, newer) is not None) is still
        off = cell.model_copy(update={"settings": {**cell.settings, "lever": None}})
        assert rows.find(made, off) is not None


def test_fields_that_came_later_are_off_by_their_words(folder: Path, made: list[dict[str, Any]]) -> None:
    cell = cell_of(folder, "espalier")
    row = next(row for row in made if row["recipe"] == "espalier")
    older = {**row, "settings": {name: value for name, value in row["settings"].items() if name != "on_bad_rows"}}
    assert rows.find([older], cell) is not None
    skipping = cell.model_copy(update={"settings": {**cell.settings, "on_bad_rows": "skip"}})
    assert rows.find([older], skipping) is None


def test_changed_settings_are_another_run(folder: Path, made: list[dict[str, Any]]) -> None:
    assert rows.find(made, cell_of(folder, "espalier")) is not None
    row = next(row for row in made if row["recipe"] == "espalier")
    other = {**row, "settings": {**row["settings"], "learning_rate": 0.5}}
    assert rows.find([other], cell_of(folder, "espalier")) is None


@pytest.mark.parametrize(("recipe", "dropout"), [("full", None), ("full@model_dropout=0", 0), ("lora", None), ("probe", None)])
def test_dense_rivals_have_the_dropout_of_the_checkpoint_or_of_the_recipe(folder: Path, recipe: str, dropout: float | None) -> None:
    assert reading_spec(cell_of(folder, recipe)).dropout == dropout


def test_held_out_rows_were_used_neither_in_training_nor_in_a_choice() -> None:
    stream = BatchStream(np.full(4000, 10), 8, seed=3)
    seen = set(stream.seen(100))
    found = heldout.choose(4000, seen, 500)
    assert len(found) == 500
    assert not seen.intersection(found)
    assert min(found) >= heldout.CALIBRATION
    assert heldout.choose(heldout.CALIBRATION, set()) == []


def test_what_is_not_there_is_skipped_with_a_reason(folder: Path) -> None:
    axes = Axes([Recipe.from_text("full")], ["toy", "none"], ["sst2", "rte"], [0.5], [(6, 8)], [1])
    grid = build(axes, [folder / "models"], folder / "datasets")
    assert [cell.task for cell in grid.cells] == ["sst2"]
    assert [reason.split(":")[0] for reason in grid.skipped] == ["model none", "task rte"]


def test_lora_is_skipped_without_its_package_and_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    grid = build(axes_of("full", "lora"), [folder / "models"], folder / "datasets")
    assert [cell.recipe for cell in grid.cells] == ["full"]
    assert [reason for reason in grid.skipped if "peft" in reason]


def test_lines_of_other_programs_are_passed_over(
    folder: Path, made: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rows.jsonl"
    rows.append(file, made[0])
    (tmp_path / "others.jsonl").write_text('{"recipe": "full", "seconds": 1}\n[1]\nno json\n')
    assert rows.read(file) == [made[0]]
    assert "3 of 3" in capsys.readouterr().err
    assert rows.find(rows.read(file), cell_of(folder, made[0]["recipe"])) == made[0]


def test_a_checkpoint_without_a_language_model_head_gets_a_classifier(folder: Path, tmp_path: Path) -> None:
    toy = Path(shutil.copytree(folder / "models" / "toy", tmp_path / "toy"))  # its configuration still says ForMaskedLM
    tensors = load_file(toy / "model.safetensors")
    save_file({name: tensor for name, tensor in tensors.items() if not name.startswith("cls.")}, toy / "model.safetensors")
    cells = build(axes_of("espalier", "full"), [tmp_path], folder / "datasets").cells
    assert [cell.settings.get("head") for cell in cells] == ["classifier", None]
    assert cell_of(folder, "espalier").settings["head"] == "label-words"


def test_settings_that_no_spec_has_are_refused(folder: Path) -> None:
    with pytest.raises(RecipeError, match="nonsense"):
        cell_of(folder, "espalier@nonsense=1")
    with pytest.raises(RecipeError, match="learning_rate"):
        Recipe.from_text("full@nonsense=1")
    assert program.main(command(folder, "--recipes", "unheard-of")) == 2


def test_set_changes_pruning_recipes_and_grid_replaces_one() -> None:
    arguments = program._parser().parse_args(
        ["run", "--recipes", "espalier,full", "--set", "dropout=0.0", "--grid", "full.learning_rate=1e-5,5e-5"]
    )
    names = [recipe.name for recipe in program.chosen_recipes(arguments)]
    assert names == ["espalier@dropout=0.0", "full@learning_rate=1e-5", "full@learning_rate=5e-5"]
    assert [recipe.settings["learning_rate"] for recipe in program.chosen_recipes(arguments)[1:]] == [1e-5, 5e-5]
