"""Weights trained in addition to scores: updates by AdamW at the schedule's rate, nothing else changes, resuming."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from pruning.errors import StoppedError
from pruning.formats import mask_file
from pruning.masking.score_adam import ScoreAdam
from pruning.masking.weight_adam import WeightAdam
from pruning.masking.wrap import wrap_linears
from pruning.models.loading import load_model, locate_model
from pruning.sources import Sources
from pruning.training.run import Run
from pruning.training.setup import set_up
from tests import toy_architectures
from tests.pruning.masking.methods import reference
from tests.pruning.runs import make_sources, run_toy, spec_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    root = tmp_path_factory.mktemp("toys")
    sources = make_sources(root)
    for shape in ("minilm", "albert", "llama"):
        toy_architectures.make_model(root / "models" / shape, shape)
    return sources


def stop_after(steps: int) -> Callable[[], bool]:
    asked = iter(range(1, 10_000))
    return lambda: next(asked) >= steps


def after_steps(sources: Sources, steps: int = 3, **fields: Any) -> Run:
    run = set_up(spec_of(**fields), sources, lambda event: None)
    run.head.train()
    for t in range(steps):
        run.pruner.step(t, [run.batch(t, 0)])
    return run


def moved(run: Run, sources: Sources) -> set[str]:
    """Names of the base model's tensors that are no longer what the folder has; masked matrices by their W."""
    stock = load_model(locate_model(run.spec.model, None, sources), run.spec.label_words, run.spec.head).model.state_dict()
    model = run.head.get_submodule("model")
    found = set()
    for name, tensor in model.state_dict().items():
        path = name.removesuffix(".weight")
        current = run.matrices.layers[path].base if path in run.matrices.layers else tensor
        if current.shape == stock[name].shape and not torch.equal(current, stock[name]):
            found.add(name)
    return found


def encoder_vectors(run: Run) -> set[str]:
    """Biases and norms of the encoder."""
    model = run.head.get_submodule("model")
    prefix = f"{model.base_model_prefix}."
    return {name for name, tensor in model.state_dict().items() if tensor.ndim == 1 and name.startswith(prefix)}


@pytest.mark.parametrize("shape", ["bert", "roberta", "distilbert", "electra", "albert", "llama"])
def test_with_train_biases_all_biases_and_norms_move_and_nothing_else(sources: Sources, shape: str) -> None:
    run = after_steps(sources, model=shape, train_biases=True, weight_learning_rate=1e-3)
    expected = encoder_vectors(run)
    assert len(expected) >= 5
    still = expected - moved(run, sources)
    assert all("key" in name or "k_lin" in name for name in still)  # softmax does not see a bias of the keys
    assert moved(run, sources) <= expected
    assert set(run.extras.names) == expected


@pytest.mark.parametrize("method", ["smp-s", "smp-l", "smp-g"])
def test_score_methods_move_nothing_of_the_model(sources: Sources, method: str) -> None:
    run = after_steps(sources, method=method)
    assert moved(run, sources) == set()
    assert run.pruner.weight_adam is None
    assert all((layer.scores != 0).any() for layer in run.matrices.layers.values())


@pytest.mark.parametrize("method", ["movement", "soft-movement", "magnitude", "l0"])
def test_methods_that_train_weights_move_every_masked_matrix_and_nothing_else(sources: Sources, method: str) -> None:
    run = after_steps(sources, method=method, weight_learning_rate=1e-3)
    assert moved(run, sources) == {f"{path}.weight" for path in run.matrices.layers}


def test_a_new_head_moves_and_the_encoder_does_not(sources: Sources) -> None:
    run = after_steps(sources, model="minilm", head="classifier", weight_learning_rate=1e-3, max_steps=8, steps=6)
    head = {"classifier.weight", "classifier.bias", "bert.pooler.dense.weight", "bert.pooler.dense.bias"}
    assert set(run.extras.names) == head
    again = set_up(run.spec, sources, lambda event: None).head.get_submodule("model").state_dict()
    now = run.head.get_submodule("model").state_dict()
    masked = {f"{path}.weight" for path in run.matrices.layers}
    assert {name for name in now if not torch.equal(now[name], again[name])} - masked == head


def test_the_rate_is_torchs_adamw_with_the_schedules_fall() -> None:
    weight, bias = reference.draw(3, 4, seed=1), reference.draw(3, seed=2)
    layer = next(iter(wrap_linears(nn.ModuleList([nn.Linear(4, 3, dtype=torch.float64)])).layers.values()))
    layer.base.copy_(weight)
    other = nn.Parameter(bias.clone())
    weight_adam = WeightAdam([layer], [other], learning_rate=0.1)
    twins = [nn.Parameter(weight.clone()), nn.Parameter(bias.clone())]
    torch_adamw = torch.optim.AdamW(twins, lr=0.1, weight_decay=0.0)
    layer.set_mask(reference.top(weight, 7))
    for t in range(5):
        gradients = [reference.draw(3, 4, seed=10 + t), reference.draw(3, seed=20 + t)]
        layer.weight.grad, other.grad = gradients[0].clone(), gradients[1].clone()
        weight_adam.learning_rate_share = (5 - t) / 5
        norms = weight_adam.collect_gradients()
        gradients[0] *= layer.mask
        assert norms == pytest.approx([float(g.norm()) for g in gradients])
        weight_adam.step(clip=0.5)
        for twin, gradient in zip(twins, gradients, strict=True):
            twin.grad = 0.5 * gradient
        torch_adamw.param_groups[0]["lr"] = 0.1 * (5 - t) / 5
        torch_adamw.step()
        torch.testing.assert_close(layer.base, twins[0].detach(), rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(other.detach(), twins[1].detach(), rtol=1e-12, atol=1e-14)
        assert other.grad is None


def test_clipped_apart_the_scores_move_as_if_nothing_else_was_trained(sources: Sources) -> None:
    small: dict[str, Any] = {"steps": 1, "max_grad_norm": 1e-3, "distill_states": 0, "adam_epsilon": "corrected"}
    alone = after_steps(sources, **small)
    extras: dict[str, Any] = {"train_biases": True, "train_readout": True}
    apart, together = (after_steps(sources, **small, **extras, clip_apart=each) for each in (True, False))
    same = [
        [torch.equal(layer.scores, run.matrices.layers[path].scores) for path, layer in alone.matrices.layers.items()]
        for run in (apart, together)
    ]
    assert all(same[0])
    assert not any(same[1])
    assert apart.spec.clip_apart is spec_of(**extras).clip_apart is True


def test_clipped_apart_the_others_are_bounded_on_their_own() -> None:
    layer = next(iter(wrap_linears(nn.ModuleList([nn.Linear(4, 3, dtype=torch.float64)])).layers.values()))
    layer.set_mask(reference.top(reference.draw(3, 4, seed=1), 7))
    bias, twin = (nn.Parameter(reference.draw(3, seed=2)) for _ in range(2))
    adam, others = ScoreAdam([layer], max_grad_norm=0.5, clip_apart=True), WeightAdam([], [bias], learning_rate=0.1)
    torch_adamw = torch.optim.AdamW([twin], lr=0.1, weight_decay=0.0)
    for t in range(3):
        gradient = reference.draw(3, seed=20 + t)
        layer.weight.grad, bias.grad, twin.grad = 1e3 * reference.draw(3, 4, seed=10 + t), gradient.clone(), gradient.clone()
        update = adam.step(0.1, 0.0, others)
        assert update.grad_norm == pytest.approx(math.hypot(*update.grad_norms))
        nn.utils.clip_grad_norm_([twin], 0.5)
        torch_adamw.step()
        torch.testing.assert_close(bias.detach(), twin.detach(), rtol=1e-9, atol=1e-12)
    layer.weight.grad, bias.grad = reference.draw(3, 4, seed=10), torch.full((3,), math.inf, dtype=torch.float64)
    before = layer.scores.clone(), bias.detach().clone()
    with pytest.raises(FloatingPointError):
        adam.step(0.1, 0.0, others)
    assert torch.equal(layer.scores, before[0])
    assert torch.equal(bias.detach(), before[1])


def test_a_state_put_back_goes_on_as_if_nothing_had_happened() -> None:
    def make_trained() -> tuple[Any, nn.Parameter, WeightAdam]:
        torch.manual_seed(0)
        layer = next(iter(wrap_linears(nn.ModuleList([nn.Linear(4, 3)])).layers.values()))
        other = nn.Parameter(torch.ones(3))
        return layer, other, WeightAdam([layer], [other], 0.1)

    def go(layer: Any, other: nn.Parameter, weight_adam: WeightAdam, t: int) -> None:
        layer.weight.grad, other.grad = reference.draw(3, 4, seed=t).float(), reference.draw(3, seed=t).float()
        weight_adam.collect_gradients()
        weight_adam.step(1.0)

    first, second = make_trained(), make_trained()
    for t in range(3):
        go(*first, t)
    second[2].restore({name: tensor.clone() for name, tensor in first[2].state().items()})
    for t in range(3, 6):
        go(*first, t)
        go(*second, t)
    assert torch.equal(first[0].base, second[0].base)
    assert torch.equal(first[1], second[1])
    states = first[2].state(), second[2].state()
    assert states[0].keys() == states[1].keys()
    assert len(states[0]) == 2 * 4  # value, step and two moments
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize(
    "fields",
    [
        {"method": "movement"},
        {"method": "soft-movement", "learning_rate": 0.3},
        {"method": "magnitude"},
        {"method": "l0"},
        {"train_biases": True, "train_readout": True},
        {"model": "minilm", "head": "classifier"},
        {"prior": "wanda"},
        {"method": "smp-g"},
        {"method": "movement", "train_biases": True, "pattern": "2:4"},
    ],
    ids=str,
)
def test_a_resumed_run_ends_with_the_same_bits(sources: Sources, tmp_path: Path, fields: dict[str, Any]) -> None:
    given = {"max_steps": 8, "weight_learning_rate": 1e-3, **fields}
    run_toy(sources, tmp_path / "whole", **given)
    with pytest.raises(StoppedError):
        run_toy(sources, tmp_path / "parts", should_stop=stop_after(5), **given)
    events = run_toy(sources, tmp_path / "parts", **given)
    assert next(event for event in events if event.event == "started").resumed_from == 5
    whole, parts = (tmp_path / name / "artifacts" for name in ("whole", "parts"))
    assert sorted(f.name for f in whole.iterdir()) == sorted(f.name for f in parts.iterdir())
    ours, theirs = (mask_file.read(folder / "mask.safetensors")[0] for folder in (whole, parts))
    assert all(np.array_equal(ours[path], theirs[path]) for path in ours)
    assert (whole / "predictions.jsonl").read_bytes() == (parts / "predictions.jsonl").read_bytes()
    if (whole / "weights.safetensors").exists():
        one, other = (load_file(folder / "weights.safetensors") for folder in (whole, parts))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
