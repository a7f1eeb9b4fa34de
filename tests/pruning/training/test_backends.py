"""Choice of the backend: runs for the GPU's kernels, and the reasons against the others."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from pruning.masking.kernels.triton import availability
from pruning.masking.layer_sparsity import LayerSparsity
from pruning.masking.methods.base import Method
from pruning.masking.methods.registry import create_method
from pruning.masking.methods.smp import SmpG, SmpL, SmpS
from pruning.masking.schedule import Schedule
from pruning.masking.score_adam import ScoreAdam
from pruning.masking.weight_adam import WeightAdam
from pruning.masking.wrap import wrap_linears
from pruning.training import backends
from pruning.training.distributed import ProcessGroup
from pruning.training.pruner import Pruner
from tests.pruning.runs import spec_of


def pruner_of(method: Method, dtype: torch.dtype = torch.float32) -> Pruner[torch.Tensor]:
    matrices = wrap_linears(nn.ModuleList([nn.Linear(4, 4, dtype=dtype)]))
    layers = list(matrices.layers.values())
    schedule = Schedule.from_spec(spec_of(), 12)
    return Pruner(matrices, method, ScoreAdam(layers), schedule, lambda rows: rows.sum())


@pytest.fixture
def with_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability, "unavailable_reason", lambda device, *, whole: "")


@pytest.mark.usefixtures("with_programs")
@pytest.mark.parametrize(
    ("fields", "fits"),
    [({"method": name}, True) for name in ("smp-s", "smp-l", "smp-g")]
    + [({"prior": "wanda"}, True), ({"pattern": "2:4"}, False), ({"method": "magnitude"}, False)],
)
def test_a_run_fits_by_how_it_selects(fields: dict[str, Any], fits: bool) -> None:
    why = backends.unsupported_reason(pruner_of(create_method(spec_of(**fields))))
    assert why == "" if fits else "smp-s" in why


@pytest.mark.usefixtures("with_programs")
def test_what_else_a_run_does_keeps_it_on_the_common_path() -> None:
    trains_more, of_several = pruner_of(SmpL()), pruner_of(SmpL())
    trains_more.weight_adam = WeightAdam(list(trains_more.matrices.layers.values()), [], 1e-3)
    of_several.process_group = ProcessGroup()
    assert "masked weights" in backends.unsupported_reason(trains_more)
    assert "one device" in backends.unsupported_reason(of_several)
    assert "float32" in backends.unsupported_reason(pruner_of(SmpL(), torch.float64))
    assert backends.select_backend(trains_more) is trains_more
    trains_more.weight_adam = WeightAdam([], [nn.Parameter(torch.zeros(3))], 1e-3)
    assert backends.unsupported_reason(trains_more) == ""


@pytest.mark.usefixtures("with_programs")
def test_one_ranking_over_all_matrices_does_not_fit_where_some_are_ranked_by_themselves() -> None:
    for method, fits in ((SmpG(), False), (SmpL(), True), (SmpS(), True)):
        pruner = pruner_of(method)
        path = next(iter(pruner.matrices.layers))
        pruner.matrices = replace(pruner.matrices, own=LayerSparsity(0.5, {path: 0.0}, {path: path}))
        why = backends.unsupported_reason(pruner)
        assert why == "" if fits else "sparsity_by" in why


def test_without_a_gpu_the_pruner_stays_as_it_is() -> None:
    pruner = pruner_of(SmpL())
    assert "NVIDIA" in backends.unsupported_reason(pruner)
    assert backends.select_backend(pruner) is pruner
    assert pruner.kernels in ("native", "plain")
