"""A run that skips bad rows: its mask is that of a run on the other rows, and its rows are reported by number."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pruning.inference.evaluation import evaluate_mask
from pruning.inference.pruned_model import load_pruned
from pruning.sources import Sources
from tests import toy_datasets, toy_models
from tests.pruning.runs import finished, of_kind, run_toy, same_masks

ROWS = toy_datasets.opinions(40, 3)
BAD: list[dict[str, Any]] = [
    {"sentence": None, "label": 0},
    {"sentence": "a film", "label": None},
    {"sentence": "a film", "label": 5},
]
FIELDS: dict[str, Any] = {"max_steps": 4, "validation_share": 0.25, "validation_rows": None, "on_bad_rows": "skip"}


def make_sources(folder: Path, rows: Sequence[Mapping[str, Any]]) -> Sources:
    toy_models.make_model(folder / "models" / "bert", "bert")
    toy_datasets.write_splits(folder / "datasets" / "sst2", {"train": rows})
    return Sources(folder / "models", folder / "datasets", hub=False)


def test_the_other_rows_make_the_mask_and_bad_ones_are_named(tmp_path: Path) -> None:
    given = [BAD[0], *ROWS[:10], BAD[1], *ROWS[10:], BAD[2]]
    sources = make_sources(tmp_path / "fixed", given)
    events = run_toy(sources, tmp_path / "skipping", bad_rows_limit=0.07, **FIELDS)
    alone = run_toy(make_sources(tmp_path / "clean", ROWS), tmp_path / "clean-run", **FIELDS | {"on_bad_rows": "refuse"})
    assert same_masks(tmp_path / "skipping", tmp_path / "clean-run")
    (started,), (other,) = of_kind(events, "started"), of_kind(alone, "started")
    assert (started.train_rows, started.validation_rows) == (other.train_rows, other.validation_rows) == (30, 10)
    assert finished(events)["final"] == finished(alone)["final"]
    assert finished(events)["skipped_rows"] == 3
    assert finished(alone)["skipped_rows"] == 0
    (warning,) = [event for event in of_kind(events, "warning") if event.code == "rows_skipped"]
    assert "3 of 43 " in warning.message
    folder = tmp_path / "skipping" / "artifacts"
    report = json.loads((folder / "report.json").read_text())
    (split,) = report["data"]["skipped"]
    assert {entry["reason"]: entry["rows"] for entry in split["reasons"]} == {
        "text_invalid": [1],
        "label_missing": [12],
        "label_invalid": [43],
    }
    assert "Skipped rows" in (folder / "report.html").read_text()
    lines = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    assert len(lines) == 10
    assert all(given[line["row"]]["label"] == line["label"] for line in lines)
    clean = [json.loads(line) for line in (tmp_path / "clean-run/artifacts/predictions.jsonl").read_text().splitlines()]
    assert [given[line["row"]] for line in lines] == [ROWS[line["row"]] for line in clean]
    assert evaluate_mask(load_pruned(folder / "mask.safetensors", sources=sources), sources) == pytest.approx(
        finished(events)["final"]
    )


def test_tags_of_validation_rows_alone_are_bad_rows(tmp_path: Path) -> None:
    tagged = {"words": ["Ada", "wrote"], "tags": ["B-PER", "O"]}
    toy_models.make_model(tmp_path / "models" / "bert", "bert")
    rows = {"train": [tagged] * 8, "validation": [tagged, tagged | {"tags": ["B-LOC", "O"]}, tagged]}
    toy_datasets.write_splits(tmp_path / "datasets" / "names", rows)
    sources = Sources(tmp_path / "models", tmp_path / "datasets", hub=False)
    task = {"dataset": "names", "text": ["words"], "label": "tags", "kind": "token-classification"}
    fields: dict[str, Any] = {"task": task, "max_steps": 2, "batch_size": 4, "on_bad_rows": "skip", "bad_rows_limit": 0.4}
    events = run_toy(sources, tmp_path / "work", **fields)
    assert of_kind(events, "started")[0].validation_rows == 2
    (split,) = json.loads((tmp_path / "work/artifacts/report.json").read_text())["data"]["skipped"]
    assert [(entry["reason"], entry["rows"]) for entry in split["reasons"]] == [("tag_unknown", [2])]
    mask = load_pruned(tmp_path / "work/artifacts/mask.safetensors", sources=sources)
    assert evaluate_mask(mask, sources)["f1"] == pytest.approx(finished(events)["final"]["f1"])
