"""Budget rule: it agrees with the runs that it was fitted to, within the error that it states."""

from typing import Any

import pytest

from pruning.quality import budget
from pruning.quality.budget import FITTED, RULE, chance_probability, check_budget, expected_signal, log_loss
from pruning.spec.schema import PruningSpec

N = 10_616_832


def codes(weights: int | None = N, **fields: Any) -> list[str]:
    spec = PruningSpec.model_validate({"model": "m", "task": "sst2", "batch_size": 8, "max_steps": 1000, **fields})
    return [warning.code for warning in check_budget(spec, spec.max_steps, weights)]


@pytest.mark.parametrize(
    ("fields", "warned"),
    [
        ({}, False),
        ({"prior": None}, True),
        ({"max_steps": 300}, True),
        ({"max_steps": 600, "sparsity": 0.97}, True),
        ({"prior": None, "max_steps": 2000, "batch_size": 4}, True),
        ({"prior": None, "max_steps": 250, "batch_size": 32}, True),
        ({"prior": None, "max_steps": 1200, "batch_size": 32}, False),
        ({"prior": None, "gradient_accumulation": 4}, False),
        ({"prior_strength": 1.0}, False),
        ({"prior_strength": 0.3}, True),
        ({"preset": "paper"}, True),
        ({"max_steps": 300, "sparsity": 0.5}, False),
        ({"method": "magnitude"}, False),
        ({"max_steps": 300, "init_from": "job_" + "0" * 26}, False),
    ],
    ids=str,
)
def test_what_is_warned_of(fields: dict[str, Any], warned: bool) -> None:
    assert codes(**fields) == (["budget_small"] if warned else [])
    assert codes(None, **fields) == codes(**fields)


def test_only_rows_seen_count_and_unknown_steps_give_no_warning() -> None:
    assert expected_signal(RULE.half_rows, N, prior=False) == 1.0
    assert expected_signal(4 * RULE.half_rows, N, prior=False) == 2.0
    assert chance_probability(1.0) == 0.5
    assert check_budget(PruningSpec(model="m", task="sst2"), None, N) == []


def test_the_error_on_the_runs_it_comes_from_is_the_stated_one() -> None:
    alarms = missed = 0
    for kind in FITTED:
        signal = expected_signal(kind.rows, kind.masked_weights, prior=kind.prior)
        if chance_probability(signal) >= RULE.warned_from:
            alarms += kind.runs - kind.at_chance
        else:
            missed += kind.at_chance
    assert (alarms, missed) == (10, 4)
    assert log_loss() == pytest.approx(0.406, abs=0.001)
    assert log_loss(rule=budget.BudgetRule(half_rows=1_000)) > log_loss()
