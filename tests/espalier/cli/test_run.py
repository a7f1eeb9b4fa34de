"""``espalier run --dry-run``: what it prints, where, and that nothing else is sent."""

import httpx
import pytest
import typer

from espalier.cli.options import own_sparsities, spec_from
from espalier.cli.output import format_warnings
from espalier.cli.run import preview_lines
from espalier.client.models import DryRun
from tests.espalier.client.test_client import script, talking

FOUND = {
    "dry_run": True,
    "spec": {"model": "toy", "task": "sst2", "method": "smp-s", "sparsity": 0.97},
    "steps": 300,
    "rows_per_step": 8,
    "rows": 2400,
    "train_rows": 67349,
    "masked_weights": None,
    "checks": ["spec", "model"],
    "estimate": {"seconds": 3725.2, "rows_per_second": 60.0, "basis": "same_model", "jobs": 2},
    "queue": {"ahead": 1, "running": 2, "workers": 1, "slots": 2},
    "warnings": [{"code": "budget_small", "message": "few rows", "remedy": "Raise max_steps."}],
}


def test_a_dry_run_is_printed_line_by_line() -> None:
    handler, asked = script(httpx.Response(200, json=FOUND))
    found = talking(handler).dry_run(model="toy", task="sst2")
    assert preview_lines(found) == [
        "job      toy, sst2, smp-s, sparsity 0.97",
        "steps    300 of 8 rows, 2400 rows in all, drawn from 67349",
        "weights  not known before the run",
        "time     about 1:02:05 (by runs of the same model, 2 of them)",
        "queue    1 ahead, 2 running, 2 slots of 1 workers",
        "checked  spec, model",
        "nothing was created",
    ]
    assert format_warnings(found.warnings) == ["warning: few rows. Raise max_steps. (budget_small)"]
    assert len(asked) == 1


@pytest.mark.parametrize("steps", [None, 0])
def test_unknown_values_are_shown_as_unknown(steps: int | None) -> None:
    lines = preview_lines(DryRun(spec={"task": {"dataset": "d"}}, steps=steps, rows_per_step=8, rows=steps))
    assert lines[1] == ("steps    not known before the run" if steps is None else "steps    0 of 8 rows, 0 rows in all")
    assert lines[3] == "time     not known: there are no comparable finished runs"


def test_patterns_are_printed_with_the_sparsity_of_the_others() -> None:
    shares = [
        {"pattern": "*.0.*", "sparsity": 0.0, "matrices": ["a.0.x", "a.0.y"], "weights": 20},
        {"pattern": None, "sparsity": 0.98765, "matrices": ["a.1.x"], "weights": 10},
    ]
    lines = preview_lines(DryRun.model_validate(FOUND | {"sparsity_by": shares}))
    assert (
        "patterns *.0.*: sparsity 0, 2 matrices, 20 weights\n         the others: sparsity 0.9877, 1 matrices, 10 weights" in lines
    )
    assert not any(line.startswith("patterns") for line in preview_lines(DryRun.model_validate(FOUND)))
    unknown = preview_lines(DryRun.model_validate(FOUND | {"sparsity_by": None}))
    assert any(line.startswith("patterns") and "not known" in line for line in unknown)


def test_sparsities_by_pattern_are_a_field_of_the_spec() -> None:
    given = ["*.attention.*=0.8", "layer.0.*=0"]
    assert own_sparsities(given) == {"sparsity_by": {"*.attention.*": 0.8, "layer.0.*": 0}}
    assert spec_from("m", "sst2", 0.9, None, None, None, given)["sparsity_by"] == {"*.attention.*": 0.8, "layer.0.*": 0}
    assert "sparsity_by" not in spec_from("m", "sst2", 0.9, None, None, None)
    with pytest.raises(typer.BadParameter):
        own_sparsities(["*.attention.*"])
