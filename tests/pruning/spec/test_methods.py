"""The catalogue of methods: complete, true of what each method does, and the source of a spec's defaults."""

import subprocess
import sys
from typing import Any, get_args

import pytest

from pruning.masking.methods.registry import create_method
from pruning.spec.method_info import Trains
from pruning.spec.methods import METHODS, Method
from pruning.spec.schema import PruningSpec
from tests.pruning.masking.methods import networks
from tests.pruning.runs import ROOT

ONE_SHOT = ("wanda", "random")


def spec(method: str, **fields: Any) -> PruningSpec:
    return PruningSpec.model_validate({"model": "m", "task": "sst2", "method": method, **fields})


def test_every_method_of_the_schema_is_in_it_and_can_be_made() -> None:
    assert set(METHODS) == set(get_args(Method))
    for name, info in METHODS.items():
        assert info.name == name
        assert info.summary
        assert info.trains in get_args(Trains)
        assert callable(create_method(spec(name)).select)


@pytest.mark.parametrize(
    ("method", "rate", "weight"),
    [
        ("smp-s", 2e-2, 400),
        ("smp-l", 2e-2, 400),
        ("smp-g", 2e-2, 400),
        ("movement", 1e-2, 0),
        ("soft-movement", 1e-2, 400),
        ("l0", 1e-1, 125),
        ("magnitude", 0, 0),
        ("wanda", 0, 0),
        ("random", 0, 0),
    ],
)
def test_defaults_are_those_of_the_methods_own_reference(method: str, rate: float, weight: float) -> None:
    found = spec(method)
    assert (found.learning_rate, found.regularization) == (rate, weight)
    assert spec(method, learning_rate=0.5, regularization=7).learning_rate == 0.5
    assert spec(method, learning_rate=0.5, regularization=7).regularization == 7


@pytest.mark.parametrize("method", sorted(METHODS))
def test_it_says_truly_what_a_method_trains(method: str) -> None:
    pruner = networks.pruner_of(networks.spec_of(method))
    info = METHODS[method]
    assert bool(pruner.optimizer.layers) == info.trains_scores == ("scores" in info.trains)
    assert (pruner.weight_adam is not None) == info.trains_weights == ("weights" in info.trains)
    assert spec(method).trains_nothing == (info.trains == "nothing") == (method in ONE_SHOT)
    assert (spec(method).epochs is None) == (method in ONE_SHOT)


def test_where_the_sparsity_emerges_no_pattern_can_be_asked_for() -> None:
    assert {name for name, info in METHODS.items() if info.sparsity == "emerges"} == {"soft-movement", "l0"}
    assert {name for name, info in METHODS.items() if not info.two_four} == {"soft-movement", "l0"}


def test_it_is_read_without_torch() -> None:
    code = "import sys, pruning.spec.methods, pruning.spec.schema; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
