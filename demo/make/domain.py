"""Format of the word tables for one kind of reviewed thing: its names, aspects and adjectives.

Polarity has to depend on the pair (aspect, adjective), not on the adjective alone, or the task would be a
word list: a cold drink is good and a cold soup is bad, a long battery life is good and a long queue is bad.
So adjectives are listed per aspect, and many of them occur on both sides in different rows.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Aspect:
    """One part of a thing that an opinion can be about, with the words that praise and blame it."""

    noun: str
    plural: bool
    bad: tuple[str, ...]
    good: tuple[str, ...]


@dataclass(frozen=True)
class Domain:
    """One kind of thing: its names, its aspects, neutral context, and remarks without any opinion word."""

    things: tuple[str, ...]
    aspects: tuple[Aspect, ...]
    contexts: tuple[str, ...]
    complaints: tuple[str, ...]
    praises: tuple[str, ...]


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


def _aspect(line: str) -> Aspect:
    """Parse ``noun: good words | bad words``; a star marks a plural noun."""
    noun, _, words = line.partition(":")
    good, _, bad = words.partition("|")
    return Aspect(noun.lstrip("*"), noun.startswith("*"), tuple(bad.split()), tuple(good.split()))


def make_domain(things: str, aspects: str, contexts: str, complaints: str, praises: str) -> Domain:
    return Domain(
        tuple(things.split()),
        tuple(_aspect(line) for line in _lines(aspects)),
        _lines(contexts),
        _lines(complaints),
        _lines(praises),
    )
