"""Matching of class names by their spelling, and only where there is a counterpart."""

import itertools

import pytest

from pruning.errors import PermanentError
from pruning.models.class_names import match_classes


def columns(theirs: list[str], ours: list[str]) -> list[int]:
    return match_classes(theirs, ours, len(ours), owner="the model", param="model")


@pytest.mark.parametrize(
    "names",
    [
        ["C++", "C", "C#"],
        ["-1", "1", "0"],
        ["a", "A"],
        ["1-5", "15", "1_5"],
        ["+", "-", "±"],
        ["re-sign", "resign"],
        ["", " "],
        ["für", "fur"],
    ],
)
def test_names_that_differ_in_any_sign_are_different_classes(names: list[str]) -> None:
    for order in itertools.permutations(range(len(names))):
        assert columns([names[i] for i in order], names) == [order.index(i) for i in range(len(names))]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (["POSITIVE", "NEGATIVE"], ["positive", "negative"]),
        (["Not entailment", "entailment"], ["not_entailment", "entailment"]),
        (["not-entailment", "ENTAILMENT"], ["not_entailment", "entailment"]),
        (["C++", "Not C"], ["c++", "not_c"]),
        (["star 1", "star 2"], ["star_1", "Star-2"]),
        (["C", "c#"], ["C", "C#"]),
    ],
)
def test_case_and_separators_do_not_matter_where_they_tell_nothing_apart(theirs: list[str], ours: list[str]) -> None:
    assert columns(theirs, ours) == [0, 1]
    assert columns(theirs[::-1], ours) == [1, 0]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (["a_b", "a-b"], ["a b", "ab"]),
        (["C++", "C#"], ["C", "D"]),
        (["C++", "Java"], ["C", "Java"]),
        (["a", "a"], ["a", "b"]),
        (["a", "b"], ["a", "a"]),
        (["Yes", "YES"], ["yes", "no"]),
        (["LABEL_0", "LABEL_1"], ["good", "bad"]),
        (["10", "1-0"], ["1_0", "1 0"]),
    ],
)
def test_without_one_counterpart_each_the_names_are_refused(theirs: list[str], ours: list[str]) -> None:
    with pytest.raises(PermanentError) as caught:
        columns(theirs, ours)
    assert (caught.value.code, caught.value.param) == ("labels_mismatch", "model")
