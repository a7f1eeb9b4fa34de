"""IOB2 tags of token classification: what is well formed, the entities that tags say, and entity-level precision, recall and F1.

A tag is ``O``, ``B-type`` at the first word of an entity, or ``I-type`` at any other. Gold tags must be IOB2: an ``I-`` follows a
``B-`` or ``I-`` of its type. Predicted tags need not be; entities are read from them as seqeval's default mode does
(``get_entities``, after conlleval): an ``I-`` without such a tag before it begins an entity. Torch-free; called by
:mod:`pruning.data.tagged_words`, :mod:`pruning.data.column_profiler`, :mod:`pruning.evaluation` and :mod:`pruning.inference`.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pruning.spec.tags import OUTSIDE, is_tag


class Entity(NamedTuple):
    """A span of words, from ``start`` up to, but without, ``end``."""

    type: str
    start: int
    end: int


class EntityScore(NamedTuple):
    """Entities of one type, or of all: ``gold`` ones, ``given`` ones, and ``right`` ones, whose type, start and end are gold."""

    gold: int
    given: int
    right: int

    @property
    def precision(self) -> float:
        """Share of the given ones that are right; 0 where none is given."""
        return self.right / self.given if self.given else 0.0

    @property
    def recall(self) -> float:
        """Share of the gold ones that are found; 0 where there is none."""
        return self.right / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        return 2 * self.right / (self.gold + self.given) if self.right else 0.0


def iob2_fault(tags: Sequence[str]) -> tuple[int, str] | None:
    """Position, from 0, of the first tag that IOB2 does not allow there, and the reason; None where all are valid."""
    before = OUTSIDE
    for position, tag in enumerate(tags):
        if not is_tag(tag):
            return position, f"{tag[:100]!r} is neither O nor B- or I- with a type"
        if tag.startswith("I-") and before[2:] != tag[2:]:
            return (position, f"{tag[:100]!r} follows {before[:100]!r}; in IOB2 an entity begins with {'B-' + tag[2:102]!r}")
        before = tag
    return None


def entities(tags: Sequence[str]) -> list[Entity]:
    """Entities in order, by seqeval's default mode: ``B-`` begins one, and so does ``I-`` unless the tag before has its type."""
    found: list[Entity] = []
    kind, start = "", 0
    for position, tag in enumerate((*tags, OUTSIDE)):
        inside = tag.startswith("I-") and tag[2:] == kind
        if kind and not inside:
            found.append(Entity(kind, start, position))
            kind = ""
        if tag != OUTSIDE and not inside:
            kind, start = tag[2:], position
    return found


def entity_scores(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> dict[str, EntityScore]:
    """Entity counts by type, in alphabetical order, over all rows of tags."""
    counts: dict[str, list[int]] = {}
    for right_tags, given_tags in zip(gold, predicted, strict=True):
        right, given = set(entities(right_tags)), set(entities(given_tags))
        for place, group in enumerate((right, given, right & given)):
            for entity in group:
                counts.setdefault(entity.type, [0, 0, 0])[place] += 1
    return {kind: EntityScore(*counts[kind]) for kind in sorted(counts)}


def total_score(scores: Iterable[EntityScore]) -> EntityScore:
    """All types together, whose precision, recall and F1 are seqeval's micro averages."""
    gold = given = right = 0
    for score in scores:
        gold, given, right = gold + score.gold, given + score.given, right + score.right
    return EntityScore(gold, given, right)


def ordered_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Each tag once: ``O``, which is always among them, then by type, ``B-`` before ``I-``."""
    return (OUTSIDE, *sorted(set(tags) - {OUTSIDE}, key=lambda tag: (tag[2:], tag[:2])))
