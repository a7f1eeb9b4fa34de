"""Density of matrices and heads, confusion and F1 by question, against scikit-learn and counting by hand."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from pruning.report.analysis import MAX_CLASSES, confusion, f1_histogram, head_densities, kind_of, layer_of, matrix_table, spread

RANDOM = np.random.default_rng(1)
Bits = np.ndarray[Any, np.dtype[np.bool_]]


def bits(rows: int, columns: int) -> Bits:
    return RANDOM.random((rows, columns)) < 0.3


@pytest.mark.parametrize(
    "names",
    [
        ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"),
        ("attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin"),
        ("attention.attn.q", "attention.attn.k", "attention.attn.v", "attention.attn.o"),
        ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"),
    ],
)
def test_each_head_has_its_rows_of_query_key_value_and_its_columns_of_the_output(names: tuple[str, ...]) -> None:
    masks = {f"model.layer.{i}.{name}": bits(6, 6) for i in range(2) for name in names}
    masks["model.layer.0.output.dense"] = bits(6, 9)
    found = head_densities(masks, 3)
    assert [(head.layer, head.head) for head in found] == [(str(i), n) for i in range(2) for n in range(3)]
    for head in found:
        q, k, v, o = (masks[f"model.layer.{head.layer}.{name}"] for name in names)
        rows = slice(2 * head.head, 2 * head.head + 2)
        blocks = (q[rows], k[rows], v[rows], o[:, rows])
        assert head.density == sum(int(block.sum()) for block in blocks) / 48
        assert list(head.parts.values()) == [block.mean() for block in blocks]


def test_grouped_heads_share_keys_and_values() -> None:
    q, k, v, o = bits(8, 8), bits(4, 8), bits(4, 8), bits(8, 8)
    paths = ("q_proj", "k_proj", "v_proj", "o_proj")
    found = head_densities({f"layers.0.self_attn.{n}": m for n, m in zip(paths, (q, k, v, o), strict=True)}, 4, 2)
    assert [head.parts["key"] for head in found] == [k[:2].mean(), k[:2].mean(), k[2:].mean(), k[2:].mean()]
    assert found[3].parts["query"] == q[6:].mean()


@pytest.mark.parametrize(("stacked", "output"), [("Wqkv", "Wo"), ("c_attn", "c_proj")])
def test_stacked_query_key_value(stacked: str, output: str) -> None:
    fused, o = bits(12, 4), bits(4, 4)
    masks = {f"layers.5.attn.{stacked}": fused, f"layers.5.attn.{output}": o, f"layers.5.mlp.{output}": bits(4, 6)}
    found = head_densities(masks, 2)
    assert [head.parts["value"] for head in found] == [fused[8:10].mean(), fused[10:].mean()]
    assert found[0].layer == "5"
    assert found[0].parts["output"] == o[:, :2].mean()


def test_a_bottleneck_before_the_attention_is_not_its_output() -> None:
    masks = {f"layer.0.attention.{name}": bits(4, 4) for name in ("query", "key", "value", "dense")}
    found = head_densities({**masks, "layer.0.bottleneck.attention.dense": bits(4, 8)}, 2)
    assert [head.parts["output"] for head in found] == [masks["layer.0.attention.dense"][:, i : i + 2].mean() for i in (0, 2)]


def test_what_cannot_be_divided_or_is_not_known_has_no_heads() -> None:
    names = ("query", "key", "value", "dense")
    assert head_densities({f"layer.0.attention.{name}": bits(6, 6) for name in names}, 4) == []
    assert head_densities({f"layer.0.attention.{name}": bits(6, 6) for name in names[:3]}, 3) == []
    assert head_densities({f"layer.0.mixer.{name}": bits(6, 6) for name in names}, 3) == []
    assert head_densities({}, 0) == []


def test_layers_are_recognised_by_their_numbers() -> None:
    assert layer_of("albert.encoder.groups.0.layers.3.attention.query") == "0.3"


def test_density_and_what_is_empty() -> None:
    mask = np.array([[1, 0, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0]], dtype=bool)
    assert matrix_table({"encoder.layer.7.output.dense": mask}) == [
        {
            "path": "encoder.layer.7.output.dense",
            "kind": "output.dense",
            "layer": "7",
            "rows": 3,
            "columns": 4,
            "kept": 3,
            "density": 0.25,
            "empty_rows": 1,
            "empty_columns": 2,
        }
    ]


def test_kinds_are_what_stands_behind_the_last_number() -> None:
    assert kind_of("albert.encoder.groups.0.layers.3.attention.query") == "attention.query"


def test_a_confusion_matrix_has_true_classes_down() -> None:
    random = np.random.default_rng(0)
    labels, predictions = random.integers(0, 3, 200).tolist(), random.integers(0, 2, 200).tolist()
    found = confusion(labels, predictions, ("a", "b", "c"))
    assert found == {"labels": ["a", "b", "c"], "counts": confusion_matrix(labels, predictions, labels=[0, 1, 2]).tolist()}


def test_too_many_classes_have_none() -> None:
    assert confusion([0], [0], [str(i) for i in range(MAX_CLASSES + 1)]) is None


def test_pairs_are_spread_over_the_rows() -> None:
    assert spread([1.0, 2.0], [3.0, 4.0]) == [[1.0, 3.0], [2.0, 4.0]]
    found = spread(range(5000), range(5000))
    assert len(found) == 400
    assert (found[0], found[-1]) == ([0.0, 0.0], [4999.0, 4999.0])


def test_questions_by_f1() -> None:
    answers = ["the red fox", "a red dog", "blue", ""]
    golds = [["red fox"], ["red fox"], ["red fox"], ["red fox"]]
    assert f1_histogram(answers, golds) == [2, 0, 0, 0, 0, 1, 0, 0, 0, 1]
