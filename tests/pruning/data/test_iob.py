"""IOB2: what is well formed, and entities and their F1 as seqeval's documentation has them."""

import pytest

from pruning.data.iob import Entity, entities, entity_scores, iob2_fault, ordered_tags, total_score


@pytest.mark.parametrize(
    ("tags", "position"),
    [
        ("O B-X I-X O", None),
        ("B-X B-X I-X", None),
        ("B-X I-Y", 1),
        ("I-X", 0),
        ("O I-X", 1),
        ("B-X O I-X", 2),
        ("B-", 0),
        ("X", 0),
        ("o", 0),
        ("B-X-1 I-X-1", None),
        ("S-X", 0),
        ("B-X I-X I-x", 2),
    ],
)
def test_what_is_well_formed(tags: str, position: int | None) -> None:
    fault = iob2_fault(tags.split())
    assert (None if fault is None else fault[0]) == position


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("B-PER I-PER O B-LOC", [("PER", 0, 2), ("LOC", 3, 4)]),  # of get_entities' docstring
        ("O O O B-MISC I-MISC I-MISC O", [("MISC", 3, 6)]),
        ("I-X I-X O", [("X", 0, 2)]),  # begins with I-
        ("O I-X B-X", [("X", 1, 2), ("X", 2, 3)]),
        ("B-X I-Y I-Y", [("X", 0, 1), ("Y", 1, 3)]),  # another type begins another entity
        ("I-X I-Y", [("X", 0, 1), ("Y", 1, 2)]),
        ("B-X B-X", [("X", 0, 1), ("X", 1, 2)]),
        ("O O", []),
        ("", []),
    ],
)
def test_entities_are_those_of_the_default_mode(tags: str, expected: list[tuple[str, int, int]]) -> None:
    assert entities(tags.split()) == [Entity(*one) for one in expected]


def test_scores_are_those_of_the_documentation() -> None:
    gold = ["O O O B-MISC I-MISC I-MISC O".split(), "B-PER I-PER O".split()]
    given = ["O O B-MISC I-MISC I-MISC I-MISC O".split(), "B-PER I-PER O".split()]
    scores = entity_scores(gold, given)
    assert [(kind, one.precision, one.recall, one.f1, one.gold) for kind, one in scores.items()] == [
        ("MISC", 0.0, 0.0, 0.0, 1),
        ("PER", 1.0, 1.0, 1.0, 1),
    ]
    total = total_score(scores.values())
    assert (total.precision, total.recall, total.f1) == (0.5, 0.5, 0.5)
    # of the part on strict mode: the default one takes I- at the start for the same entity
    total = total_score(entity_scores([["B-NP", "I-NP", "O"]], [["I-NP", "I-NP", "O"]]).values())
    assert (total.precision, total.recall, total.f1) == (1.0, 1.0, 1.0)


def test_what_is_given_too_often_costs_precision() -> None:
    total = total_score(entity_scores([["B-X", "O", "O"]], [["B-X", "B-X", "B-Y"]]).values())
    assert (total.precision, total.recall, total.f1) == (pytest.approx(1 / 3), 1.0, 0.5)
    assert total_score([]).f1 == 0.0


def test_order_of_tags() -> None:
    assert ordered_tags(["I-B", "B-B", "B-A", "B-B"]) == ("O", "B-A", "B-B", "I-B")
