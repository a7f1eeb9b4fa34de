"""Sparsity, λ and learning rate over a run, against numbers worked out by hand."""

import pytest

from pruning.masking.schedule import Ramp, Schedule
from pruning.spec.schema import PruningSpec


def schedule(steps: int = 100, **fields: object) -> Schedule:
    return Schedule.from_spec(PruningSpec(model="m", task="sst2", max_steps=steps, **fields), steps)


def test_a_cubic_ramp_falls_with_the_third_power_of_what_is_left() -> None:
    ramp = Ramp(begin=10, length=20)
    assert [ramp.decay(t) for t in (0, 10, 15, 20, 25, 30, 99)] == pytest.approx([1, 1, 0.421875, 0.125, 0.015625, 0, 0])


def test_a_linear_ramp_falls_evenly() -> None:
    ramp = Ramp(begin=10, length=20, shape="linear")
    assert [ramp.decay(t) for t in (0, 10, 15, 20, 30, 31)] == pytest.approx([1, 1, 0.75, 0.5, 0, 0])


def test_a_held_ramp_moves_only_every_so_many_steps() -> None:
    ramp = Ramp(begin=0, length=4, shape="linear", every=3)
    assert [ramp.decay(t) for t in range(13)] == [1, 1, 1, 0.75, 0.75, 0.75, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0]


def test_a_ramp_without_length_is_over_at_once() -> None:
    assert Ramp(begin=0, length=0).decay(0) == 0


def test_remaining_weights_ramp_down_over_a_share_of_the_run_and_then_hold() -> None:
    plan = schedule(sparsity=0.9, ramp=0.6)
    assert plan.remaining(0) == 1
    assert plan.remaining(30) == pytest.approx(0.1 + 0.9 / 8)
    assert plan.remaining(45) == pytest.approx(0.1 + 0.9 / 64)
    assert plan.remaining(59) > 0.1
    assert [plan.remaining(t) for t in (60, 61, 99, 100)] == [0.1] * 4


def test_what_ramp_and_hold_leave_over_is_a_warm_up_at_full_density() -> None:
    plan = schedule(sparsity=0.5, ramp=0.5, hold=0.25)
    assert [plan.remaining(t) for t in (0, 24, 25)] == [1, 1, 1]
    assert plan.remaining(50) == pytest.approx(0.5 + 0.5 / 8)
    assert plan.remaining(75) == 0.5


def test_a_linear_spec_ramps_evenly() -> None:
    plan = schedule(sparsity=0.8, ramp=0.5, ramp_shape="linear")
    assert plan.remaining(25) == pytest.approx(0.6)


def test_fractions_of_a_run_follow_its_length() -> None:
    short, long = schedule(10, sparsity=0.7), schedule(1000, sparsity=0.7)
    assert [short.remaining(t) for t in range(11)] == pytest.approx([long.remaining(100 * t) for t in range(11)])


def test_lambda_rises_over_the_whole_run_by_default() -> None:
    plan = schedule(regularization=400)
    assert plan.regularization(0) == 0
    assert plan.regularization(50) == pytest.approx(400 * (1 - 0.125))
    assert plan.regularization(90) == pytest.approx(400 * (1 - 0.001))
    assert plan.regularization(100) == 400


def test_lambda_can_rise_with_the_sparsity() -> None:
    plan = schedule(regularization=400, regularization_ramp="sparsity", ramp=0.5, hold=0.25)
    assert [plan.regularization(t) for t in (0, 25, 50, 75, 99)] == pytest.approx([0, 0, 350, 400, 400])


def test_lambda_over_the_run_stays_cubic_when_the_sparsity_is_linear() -> None:
    plan = schedule(regularization=8, ramp_shape="linear")
    assert plan.regularization(50) == pytest.approx(7)


def test_the_learning_rate_falls_in_a_line_to_nothing() -> None:
    plan = schedule(learning_rate=2e-2)
    assert [plan.learning_rate(t) for t in (0, 25, 50, 99, 100)] == pytest.approx([0.02, 0.015, 0.01, 0.0002, 0])


def test_the_upstream_preset_ramps_lambda_over_the_run_and_the_paper_preset_with_the_sparsity() -> None:
    upstream, paper = schedule(preset="upstream", ramp=0.4), schedule(preset="paper", ramp=0.4)
    assert upstream.regularization(40) == pytest.approx(400 * (1 - 0.6**3))
    assert paper.regularization(40) == 400


def test_a_dense_run_keeps_everything() -> None:
    plan = schedule(sparsity=0)
    assert {plan.remaining(t) for t in range(101)} == {1.0}
