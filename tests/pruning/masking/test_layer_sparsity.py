"""Sparsity of single matrices: which pattern decides, exact counts, the overall count kept, refusals with numbers."""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pruning.errors import PermanentError
from pruning.masking.allocation import group_pattern
from pruning.masking.layer_sparsity import LayerSparsity, Shapes, layer_sparsity, match_patterns, matched_rows, scheduled_count
from pruning.spec.method_info import CountedBy
from pruning.spec.schema import PruningSpec

BERT = {
    f"bert.encoder.layer.{layer}.{kind}": shape
    for layer in range(3)
    for kind, shape in (
        ("attention.self.query", (8, 8)),
        ("attention.output.dense", (8, 8)),
        ("intermediate.dense", (12, 8)),
        ("output.dense", (8, 12)),
    )
}
METHODS: dict[CountedBy, str] = {"group": "smp-s", "matrix": "smp-l", "model": "smp-g", "row": "wanda"}
SIDE = st.integers(1, 40)
MATRICES = st.lists(st.tuples(SIDE, SIDE), min_size=1, max_size=9)
SHARE = st.floats(0, 0.999) | st.sampled_from([0.0, 0.5, 0.9, 0.97])


def spec_of(sparsity_by: Mapping[str, float], sparsity: float = 0.5, method: str = "smp-l", **fields: Any) -> PruningSpec:
    length = {} if method == "wanda" else {"max_steps": 10}
    return PruningSpec(model="m", task="sst2", method=method, sparsity=sparsity, sparsity_by=sparsity_by, **length, **fields)


def refused(patterns: Mapping[str, float], sparsity: float = 0.5, **fields: Any) -> PermanentError:
    with pytest.raises(PermanentError) as refusal:
        layer_sparsity(spec_of(patterns, sparsity, **fields), BERT)
    assert refusal.value.param == "sparsity_by"
    return refusal.value


def test_a_pattern_fits_whole_paths_and_what_follows_a_dot() -> None:
    query = "bert.encoder.layer.1.attention.self.query"
    for pattern in (query, "encoder.layer.1.attention.self.query", "layer.1.*query", "query", "*.1.*.qu?ry", "layer.[1].*query"):
        assert query in match_patterns({pattern: 0.5}, [*BERT]), pattern
    assert not {path for path in match_patterns({"layer.1.*": 0.5}, [*BERT, "bert.encoder.layer.11.x"]) if ".11." in path}


def test_of_two_patterns_the_one_that_matches_fewer_matrices_decides_in_either_order() -> None:
    patterns = {"*.attention.*": 0.8, "encoder.layer.0.*": 0.0, "bert.encoder.layer.0.attention.self.query": 0.3}
    for given_in in (patterns, dict(reversed(patterns.items()))):
        deciding = match_patterns(given_in, [*BERT])
        assert deciding["bert.encoder.layer.0.attention.self.query"] == "bert.encoder.layer.0.attention.self.query"
        assert deciding["bert.encoder.layer.0.attention.output.dense"] == "encoder.layer.0.*"
        assert deciding["bert.encoder.layer.1.attention.output.dense"] == "*.attention.*"
        assert "bert.encoder.layer.1.output.dense" not in deciding


def test_a_tie_is_refused_unless_both_say_the_same() -> None:
    assert refused({"*.self.query": 0.5, "layer.1.attention.*": 0.4, "*.layer.1.*.query": 0.1, "*1*.query": 0.2}).code == (
        "sparsity_by_ambiguous"
    )
    assert layer_sparsity(spec_of({"*.self.query": 0.5, "*.attention.self.*": 0.5}), BERT) is not None


def test_a_pattern_that_matches_nothing_is_refused_with_near_paths() -> None:
    refusal = refused({"encoder.layer.7.attention.self.query": 0.5})
    assert refusal.code == "sparsity_by_unmatched"
    assert "bert.encoder.layer.1.attention.self.query" in refusal.message


def test_a_density_above_one_or_below_zero_for_the_others_is_refused_and_the_remedy_is_accepted() -> None:
    too_much = refused({"*.attention.*": 0.99}, 0.1)  # the others would have to keep 858 of 576
    assert too_much.code == "sparsity_by_unreachable"
    assert "at least 0.4," in too_much.message
    too_little = refused({"layer.0.*": 0.0}, 0.9)
    assert too_little.code == "sparsity_by_unreachable"
    assert "at most 0.666666" in too_little.message
    for patterns, sparsity in (({"*.attention.*": 0.99}, 0.4), ({"layer.0.*": 0.0}, 0.666666), ({"layer.0.*": 0.0}, 0.6)):
        assert layer_sparsity(spec_of(patterns, sparsity), BERT) is not None


@pytest.mark.parametrize("method", METHODS.values())
def test_where_every_matrix_is_matched_the_sparsity_that_the_refusal_names_is_accepted(method: str) -> None:
    patterns = {"*.attention.*": 0.25, "intermediate.dense": 0.5, "layer.*.output.dense": 0.75, "attention.output.dense": 0.3}
    refusal = refused(patterns, 0.1, method=method)
    named = float(refusal.message.rpartition("set sparsity to ")[2].partition(",")[0])
    assert layer_sparsity(spec_of(patterns, named, method=method), BERT) is not None
    assert layer_sparsity(spec_of({"*": 0.9}, 0.9, method=method), BERT) is not None


def test_shares_by_pattern_say_what_is_left_for_the_others() -> None:
    rows = list(matched_rows(spec_of({"layer.0.*": 0.0, "*.query": 0.75}, 0.5), BERT))
    assert [(pattern, sparsity, len(paths)) for pattern, sparsity, paths in rows[:-1]] == [
        ("layer.0.*", 0.0, 3),
        ("*.query", 0.75, 3),
    ]
    pattern, sparsity, paths = rows[-1]
    assert (pattern, len(paths)) == (None, 6)
    assert sparsity == pytest.approx(1 - (480 - 256 - 48) / 512)


def test_under_two_four_the_overall_sparsity_follows_from_what_stays_dense() -> None:
    own = layer_sparsity(spec_of({"layer.0.*": 0.0}, 0.5, pattern="2:4"), BERT)
    assert own is not None
    assert own.overall == pytest.approx(0.5 * 2 / 3)


def cases() -> st.SearchStrategy[tuple[Shapes, dict[str, float], float]]:
    """Matrices in groups of three, sparsities of some of them, and one over all."""

    @st.composite
    def draw_case(draw: st.DrawFn) -> tuple[Shapes, dict[str, float], float]:
        shapes = {f"m.{i}.k{i % 3}": shape for i, shape in enumerate(draw(MATRICES))}
        named = draw(st.lists(st.sampled_from([*shapes]), unique=True, max_size=len(shapes)))
        return shapes, {path: draw(SHARE) for path in named}, draw(SHARE)

    return draw_case()


@pytest.mark.parametrize("by", METHODS)
@settings(max_examples=60, deadline=None)
@given(case=cases(), steps=st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_counts_are_exact_monotone_and_the_overall_count_is_kept(
    by: CountedBy, case: tuple[Shapes, dict[str, float], float], steps: list[float]
) -> None:
    shapes, named, sparsity = case
    try:
        own = layer_sparsity(spec_of(named, sparsity, METHODS[by]), shapes)
    except PermanentError as refusal:
        if refusal.code != "sparsity_by_unreachable":
            raise
        return
    if own is None:
        assert not named
        return
    final = round(1 - sparsity, 12)
    schedule = [1.0, *sorted((final + (1 - final) * (1 - x) ** 3 for x in steps), reverse=True), final]
    sizes = {path: rows * columns for path, (rows, columns) in shapes.items()}
    found = []
    for v in schedule:
        counts = dict(zip(shapes, counts_of(own, shapes, v, by), strict=True))
        assert all(0 <= count <= sizes[path] for path, count in counts.items())
        assert all(counts[path] == naive_count(shapes[path], own.remaining(path, v), by) for path in named)
        total, rest = scheduled_count(shapes, v, by), sum(sizes[path] for path in shapes if path not in named)
        kept_by_named = sum(counts[path] for path in named)
        assert sum(counts.values()) == kept_by_named + min(max(total - kept_by_named, 0), rest)
        if 0 <= total - kept_by_named <= rest:
            assert sum(counts.values()) == total
        slack = sum(rows for rows, _ in shapes.values()) if by == "row" else len(shapes)
        assert abs(sum(counts.values()) - total) < slack
        found.append(counts)
    for before, after in pairwise(found):
        assert all(after[path] <= before[path] for path in named)
    for path, share in named.items():
        assert found[-1][path] == naive_count(shapes[path], round(1 - share, 12), by)
        assert found[0][path] == sizes[path] or final == 1


def counts_of(own: LayerSparsity, shapes: Shapes, v: float, by: CountedBy) -> list[int]:
    """As the method makes them; of smp-s the groups alone, whose matrices share by mass."""
    if by != "group":
        return own.counts(shapes, v, by)
    groups: dict[str, list[str]] = {}
    for path in shapes:
        groups.setdefault(group_pattern(path), []).append(path)
    named, budgets = own.group_budgets(shapes, groups, v)
    for paths, budget in zip(own.other_groups(groups), budgets, strict=True):
        room = budget
        for path in paths:
            named[path] = min(room, math.prod(shapes[path]))
            room -= named[path]
        assert room == 0
    return [named[path] for path in shapes]


def naive_count(shape: tuple[int, int], share: float, by: CountedBy) -> int:
    rows, columns = shape
    return rows * math.floor(share * columns) if by == "row" else math.floor(share * (rows * columns))


@settings(max_examples=100, deadline=None)
@given(shapes=MATRICES, share=st.floats(0, 1))
def test_the_overall_count_is_that_of_each_method_s_own_rule(shapes: list[tuple[int, int]], share: float) -> None:
    named = {f"m.{i}.k{i % 3}": shape for i, shape in enumerate(shapes)}
    sizes = [rows * columns for rows, columns in shapes]
    assert scheduled_count(named, share, "matrix") == sum(math.floor(share * n) for n in sizes)
    assert scheduled_count(named, share, "model") == math.floor(share * sum(sizes))
    assert scheduled_count(named, share, "group") == sum(math.floor(share * sum(sizes[i::3])) for i in range(3))
    assert scheduled_count(named, share, "row") == sum(rows * math.floor(share * columns) for rows, columns in shapes)
