"""Page and figure of the quality benchmark, from rows with known numbers."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.quality import __main__ as program
from benchmarks.quality import markdown, rows
from benchmarks.quality.cell import Cell
from benchmarks.quality.recipes import Recipe
from benchmarks.quality.summary import Group, paired, summarize

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "quality.md"
README = ROOT / "README.md"


def row(recipe: str, seed: int, metric: float, *, sparsity: float = 0.9, held_out: float | None = None) -> dict[str, Any]:
    cell = Cell.from_recipe(
        Recipe.from_text(recipe),
        model="toy",
        task="sst2",
        sparsity=sparsity,
        steps=10,
        batch=8,
        seed=seed,
        common={"max_length": 32, "precision": "fp32"},
    )
    return {
        **cell.model_dump(mode="json"),
        "sparsity_got": cell.sparsity,
        "primary_metric": "accuracy",
        "metrics": {"accuracy": metric},
        "heldout": None if held_out is None else {"accuracy": held_out},
        "heldout_rows": 0 if held_out is None else 300,
        "one_class": metric == 0.5,
        "curve": [[5, 1.0, 40, metric - 0.2, 1.0], [10, 2.0, 80, metric, 2.0]],
        "seconds_training": 2.0,
        "cpu_seconds_training": 2.0,
        "artifact_bytes": 459_000,
        "extra_parameters": 0,
        "threads": 1,
        "device": "cpu",
    }


ROWS = [
    row("espalier", 1, 0.80, held_out=0.82),
    row("espalier", 2, 0.90, held_out=0.86),
    row("smp-s", 1, 0.70, held_out=0.72),
    row("smp-s", 2, 0.50, held_out=0.74),
    row("smp-s", 3, 0.60),
    row("smp-s", 1, 0.60, sparsity=0.97),
    row("espalier", 1, 0.65, sparsity=0.97),
    row("full", 1, 0.70),
    row("full@learning_rate=1e-4", 1, 0.85),
]


def find(groups: list[Group], recipe: str, sparsity: float | None = 0.9) -> Group:
    (found,) = [group for group in groups if group.recipe == recipe and group.sparsity == sparsity]
    return found


def test_differences_are_paired_by_seed_on_held_out_rows() -> None:
    groups = summarize(ROWS).groups
    difference, kind = paired(find(groups, "espalier"), find(groups, "smp-s"))
    assert difference is not None
    assert (round(difference.mean, 6), difference.runs, kind) == (0.11, 2, "held-out")
    assert difference.error == pytest.approx(0.01)  # 0.10 and 0.12
    difference, kind = paired(find(groups, "espalier", 0.97), find(groups, "smp-s", 0.97))
    assert difference is not None
    assert (round(difference.mean, 6), difference.error, kind) == (0.05, None, "validation")


def test_of_a_rivals_settings_the_best_is_shown() -> None:
    best = find(summarize(ROWS).groups, "full@learning_rate=1e-4", None)
    assert best.variants == 2
    assert not [group for group in summarize(ROWS).groups if group.recipe == "full"]


def test_rows_of_other_settings_are_left_out_and_counted() -> None:
    old = row("espalier", 3, 0.99)
    found = summarize([*ROWS, {**old, "settings": {**old["settings"], "learning_rate": 0.5}}])
    assert found.outdated == 1
    assert set(find(found.groups, "espalier").runs) == {1, 2}


def test_seconds_to_a_metric_are_read_between_two_points() -> None:
    group = find(summarize([row("espalier", 1, 0.9)]).groups, "espalier")
    assert group.seconds_to(0.8) == [pytest.approx(1.5)]
    assert group.seconds_to(0.95) == []


@pytest.mark.slow
def test_the_command_writes_page_and_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for one in ROWS:
        rows.append(tmp_path / "rows.jsonl", one)
    page = Path(shutil.copy(PAGE, tmp_path / "quality.md"))
    readme = Path(shutil.copy(README, tmp_path / "README.md"))
    command = ["table", "--out", str(tmp_path / "rows.jsonl"), "--page", str(page), "--readme", str(readme)]
    command += ["--images", str(tmp_path / "images")]
    assert program.main(command) == 0
    text = page.read_text("utf-8")
    assert "| `espalier` | 10 % | 85.0 ± 5.0 | 84.0 ± 2.0 | +11.0 ± 1.0 | 2 |" in text
    assert "| `smp-s` | 10 % | 60.0 ± 5.8 | 73.0 ± 1.0 |  | 3 | 1 of 3 |" in text
    assert "`full` (learning_rate=1e-4), best of 2" in text
    figure = tmp_path / "images" / "quality-toy-sst2-10x8.svg"
    assert f"images/{figure.name}" in text
    drawn = figure.read_bytes()
    assert b"espalier" in drawn
    seconds = figure.with_name("quality-toy-sst2-10x8-seconds.svg").read_bytes()
    assert seconds.count(b"% remaining") == 2  # a panel for each sparsity
    assert b"full@learning_rate=1e-4" in seconds
    short = readme.read_text("utf-8")
    assert "| `espalier` | 10 % | 84.0 ± 2.0 | 85.0 ± 5.0 | 2 | 2 | 459 kB |" in short
    assert "](images/quality-toy-sst2-10x8.svg)" in short
    assert "](quality.md)" in short
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["outdated_rows"] == 0
    assert program.main(command) == 0
    assert page.read_text("utf-8") == text
    assert figure.read_bytes() == drawn


def test_page_and_readme_are_what_the_command_makes_of_the_rows_in_the_repository(tmp_path: Path) -> None:
    page, readme = tmp_path / PAGE.relative_to(ROOT), tmp_path / "README.md"
    images = tmp_path / "docs" / "images"
    page.parent.mkdir(parents=True)
    shutil.copy(PAGE, page)
    shutil.copy(README, readme)
    assert program.main(["table", "--page", str(page), "--images", str(images), "--readme", str(readme)]) == 0
    hint = "run python -m benchmarks.quality table"
    assert page.read_text("utf-8") == PAGE.read_text("utf-8"), hint
    assert readme.read_text("utf-8") == README.read_text("utf-8"), hint
    drawn = {file.name for file in images.iterdir()}
    assert drawn == {file.name for file in (ROOT / "docs" / "images").glob("quality-*.svg")}, hint


def test_a_page_without_the_marks_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing")
    with pytest.raises(markdown.PageError):
        markdown.insert(page, "text")


def test_changed_recipes_stand_in_the_table_and_not_in_figures_next_to_the_recipe_itself() -> None:
    found = summarize([*ROWS, row("espalier@dropout=0", 1, 0.9), row("espalier@dropout=0", 1, 0.9, sparsity=0.5)])
    (setting,) = found.settings()
    changed = [("espalier@dropout=0", 0.5), ("espalier@dropout=0", 0.9)]
    assert [(group.recipe, group.sparsity) for group in found.of(setting) if "dropout" in group.recipe] == changed
    assert [(group.recipe, group.sparsity) for group in found.plain(setting) if "dropout" in group.recipe] == changed[:1]
    assert "dropout" not in markdown.digest(summarize([*ROWS, row("espalier@dropout=0", 1, 0.9)]), {}, "page.md")


def test_the_short_form_has_one_table_for_each_model_and_the_largest_first() -> None:
    large = [{**row(recipe, 1, 0.9), "model": "large", "artifact_bytes": 438_000_000} for recipe in ("full", "espalier")]
    longer = [{**row("espalier", 1, 0.95), "steps": 20}]
    text = markdown.digest(summarize([*ROWS, *longer, *large]), {}, "page.md")
    titles = [line for line in text.splitlines() if line.startswith("**")]
    assert titles == ["**large, SST2, 10 × 8 rows**", "**toy, SST2, 10 × 8 rows**"]
    assert text.count("438 MB") == 2
    assert markdown.digest(summarize([]), {}, "page.md") == ""
