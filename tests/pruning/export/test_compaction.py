"""Compaction removes weights without effect and keeps the logits: rule by rule, and on whole models."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pruning.errors import PermanentError
from pruning.export.compaction import Affine, compact, compact_attention, compact_feed_forward
from pruning.export.layer_map import Layer, map_layers
from pruning.hub.models import ModelFolder
from pruning.masking.wrap import prunable_linears
from pruning.models.checks import MODEL_TYPES
from pruning.models.loading import load_model
from pruning.spec.export_formats import COMPACT_TYPES
from tests import toy_architectures
from tests.pruning.export.factories import make_mask, padded_batch, subject_of

SIZE, HEADS, HIDDEN = 4, 3, 10


def attend(parts: list[Affine], x: torch.Tensor, seen: torch.Tensor, size: int) -> torch.Tensor:
    """Attention written out, float64: x [S, h]; ``seen`` [S] positions that are no padding; scaled by the size at first."""
    query, key, value, output = parts

    def heads(part: Affine) -> torch.Tensor:
        return (x @ part.weight.T + part.bias).view(len(x), -1, size).transpose(0, 1)  # [n, S, size]

    scores = heads(query) @ heads(key).transpose(1, 2) / SIZE**0.5
    weights = scores.masked_fill(~seen, -torch.inf).softmax(dim=-1)
    return (weights @ heads(value)).transpose(0, 1).flatten(1) @ output.weight.T + output.bias


@pytest.fixture
def parts() -> list[Affine]:
    """Query, key, value and output without a zero."""
    torch.manual_seed(0)
    inner = SIZE * HEADS
    shapes = [(inner, HIDDEN)] * 3 + [(HIDDEN, inner)]
    return [Affine(torch.randn(shape).double(), torch.randn(shape[0]).double()) for shape in shapes]


def check(parts: list[Affine], heads: int, size: int) -> None:
    """The compacted attention has this shape and gives the same states."""
    query, key, value, output = parts
    made, found = compact_attention(query, key, value, output, SIZE)
    assert (len(made[0].bias) // found, found) == (heads, size)
    x, seen = torch.randn(6, HIDDEN).double(), torch.tensor([True] * 4 + [False] * 2)
    torch.testing.assert_close(attend(made, x, seen, found), attend(parts, x, seen, SIZE), rtol=0, atol=1e-12)


def test_without_empty_rows_nothing_is_removed(parts: list[Affine]) -> None:
    check(parts, HEADS, SIZE)


def test_a_head_without_values_is_gone_and_its_bias_stays(parts: list[Affine]) -> None:
    parts[2].weight[SIZE : 2 * SIZE] = 0
    check(parts, HEADS - 1, SIZE)


def test_a_head_that_no_output_reads_is_removed(parts: list[Affine]) -> None:
    parts[3].weight[:, :SIZE] = 0
    check(parts, HEADS - 1, SIZE)


def test_where_no_head_is_left_the_output_is_a_constant(parts: list[Affine]) -> None:
    parts[2].weight[:] = 0
    check(parts, 1, 1)


def test_empty_key_rows_cost_a_dimension_and_no_bias(parts: list[Affine]) -> None:
    for head in range(HEADS):
        parts[1].weight[head * SIZE] = 0
        parts[2].weight[head * SIZE + 1] = 0
    check(parts, HEADS, SIZE - 1)


def test_empty_query_rows_of_a_head_become_one_of_the_summed_key(parts: list[Affine]) -> None:
    for head in range(HEADS):
        parts[0].weight[head * SIZE : head * SIZE + 3] = 0
        parts[2].weight[head * SIZE : head * SIZE + 2] = 0
    check(parts, HEADS, 2)


def test_a_head_size_is_rounded_up_but_never_above_what_it_was(parts: list[Affine]) -> None:
    parts[1].weight[:], parts[3].weight[:, SIZE:], parts[3].weight[:, 1:SIZE] = 0, 0, 0
    query, key, value, output = parts
    assert [compact_attention(query, key, value, output, SIZE, multiple)[1] for multiple in (1, 2, 3, 8)] == [1, 2, 3, SIZE]


def test_heads_of_different_width_are_filled_up(parts: list[Affine]) -> None:
    parts[1].weight[:3] = 0
    parts[3].weight[:, 1:SIZE] = 0
    check(parts, HEADS, SIZE)
    parts[1].weight[SIZE:] = 0
    parts[2].weight[SIZE + 1 :] = 0
    check(parts, 2, 1)


def test_dead_neurons_leave_their_constant_behind() -> None:
    torch.manual_seed(0)
    up, down = (Affine(torch.randn(7, 5).double(), torch.randn(7).double()), Affine(torch.randn(5, 7).double(), torch.zeros(5)))
    up.weight[2], up.weight[4], down.weight[:, 5] = 0, 0, 0
    layer: Any = type("Layer", (), {"activation": nn.GELU()})
    x = torch.randn(3, 5).double()

    def run(up: Affine, down: Affine) -> torch.Tensor:
        return nn.functional.gelu(x @ up.weight.T + up.bias) @ down.weight.T + down.bias

    small_up, small_down = compact_feed_forward(up, down, layer)
    assert small_up.weight.shape == (4, 5)
    torch.testing.assert_close(run(small_up, small_down), run(up, down), rtol=0, atol=1e-6)
    up.weight[:] = 0
    assert compact_feed_forward(up, down, layer)[0].weight.shape == (1, 5)
    torch.testing.assert_close(run(*compact_feed_forward(up, down, layer)), run(up, down), rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", COMPACT_TYPES)
@pytest.mark.parametrize("share", [0.5, 0.1, 0.01])
def test_the_logits_of_a_whole_model_stay(models: Path, tmp_path: Path, shape: str, share: float) -> None:
    subject = subject_of(make_mask(tmp_path / "mask.safetensors", models / shape, share=share), models / shape)
    head: Any = copy.deepcopy(subject.pruned.head)
    sizes = compact(head.model)
    batch = padded_batch(subject)
    with torch.no_grad():
        torch.testing.assert_close(head(**batch), subject.pruned.head(**batch), rtol=0, atol=1e-5)
    before, after = prunable_linears(subject.model), prunable_linears(head.model)
    assert all(after[path].weight.numel() <= before[path].weight.numel() for path in before)
    assert sum(one.weight.numel() for one in after.values()) < 0.9 * sum(one.weight.numel() for one in before.values())
    first = map_layers(subject.model)[0]
    rows = after[first.value].out_features // (3 if first.fused else 1)
    assert rows == sizes[first.attention]  # one of two heads had no values


def neurons(layer: Layer, model: nn.Module) -> int:
    up, down = (prunable_linears(model)[path].weight != 0 for path in (layer.up, layer.down))
    return int((up.any(dim=1) & down.any(dim=0)).sum())


def test_every_neuron_that_does_something_is_kept(models: Path, masks: Path) -> None:
    subject = subject_of(masks / "roberta.safetensors", models / "roberta")
    head: Any = copy.deepcopy(subject.pruned.head)
    compact(head.model)
    found = [prunable_linears(head.model)[layer.up].out_features for layer in map_layers(head.model)]
    assert found == [neurons(layer, subject.model) for layer in map_layers(subject.model)]


@pytest.mark.parametrize("shape", sorted({*MODEL_TYPES, "deberta-v3"} - set(COMPACT_TYPES)))
def test_other_structures_are_refused_before_anything_is_changed(tmp_path: Path, shape: str) -> None:
    folder = toy_architectures.make_model(tmp_path / shape, shape)
    model = load_model(ModelFolder(folder, None), ("terrible", "great"), "label-words").model
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(PermanentError) as refused:
        compact(model)
    assert refused.value.code == "export_unsupported"
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
