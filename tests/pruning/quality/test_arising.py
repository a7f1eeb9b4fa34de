"""Quality warnings: each one of the catalogue arises in a run made for it, and reaches the report."""

import json
from pathlib import Path
from typing import Any

import pytest

from pruning.quality import outcome
from pruning.quality.catalog import WARNINGS
from pruning.sources import Sources
from pruning.training import baseline
from tests import toy_datasets
from tests.pruning.runs import make_sources, of_kind, run_toy

DEAD: dict[str, Any] = {"method": "random", "sparsity": 0.9999, "max_steps": None}
"""So few weights that the first token sees nothing of its text."""
IDLE: dict[str, Any] = {"sparsity": 0.0, "learning_rate": 1e-9, "validation_rows": 8}
RUNS: dict[str, dict[str, Any]] = {
    "budget_small": {"sparsity": 0.97, "max_steps": 2, "ramp": 1.0},
    "predicts_one_class": DEAD,
    "predicts_one_value": {**DEAD, "task": "stsb"},
    "no_better_than_constant": {**IDLE, "calibration_rows": 8},
    "scores_are_noise": {**IDLE, "max_steps": 40},
    "baseline_at_chance": {**IDLE, "baseline": True, "baseline_learning_rate": 1e-12},
    "baseline_diverged": {"baseline": True},
    "rows_skipped": {
        "task": {
            "dataset": "flawed",
            "text": ["sentence"],
            "labels": ["negative", "positive"],
            "label_words": ["terrible", "great"],
        },
        "on_bad_rows": "skip",
        "bad_rows_limit": 0.1,
    },
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    root = tmp_path_factory.mktemp("toys")
    splits = {"train": [{"sentence": None, "label": 0}, *toy_datasets.opinions(40, 1)], "validation": toy_datasets.opinions(32, 2)}
    toy_datasets.write_splits(root / "datasets" / "flawed", splits)
    return make_sources(root)


def test_no_code_is_left_out() -> None:
    assert RUNS.keys() == WARNINGS.keys()


@pytest.mark.parametrize("code", RUNS)
def test_a_run_that_deserves_a_warning_gets_it(
    sources: Sources, tmp_path: Path, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = {**RUNS[code]}
    if code == "baseline_diverged":  # no rate that a spec may have takes a toy out of the range of its numbers
        monkeypatch.setattr(baseline._Training, "_backward", lambda *_: float("nan"))
    if code == "scores_are_noise":  # gradients on a toy are clearer than those of the models that the limit was measured on
        monkeypatch.setattr(outcome, "NOISE", 1.0)
    events = run_toy(sources, tmp_path, **fields)
    warned = {warning.code: warning for warning in of_kind(events, "warning")}
    assert code in warned, [event.signal_to_noise for event in of_kind(events, "evaluation")]
    assert warned[code].remedy == WARNINGS[code].remedy
    report = json.loads((tmp_path / "artifacts" / "report.json").read_text("utf-8"))
    assert code in [warning["code"] for warning in report["warnings"]]
    assert events[-1].event == "finished"
