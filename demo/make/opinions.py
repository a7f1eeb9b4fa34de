"""Clauses with an opinion, positive (1) or negative (0), about a thing.

A fifth of the clauses turn the polarity of the word they contain ("hardly impressive", "free of dirt",
"never bored us") and some hold a stray one ("worse than the lovely one"), so words alone do not
give the sign.
"""

from collections.abc import Callable

from demo.make import vocabulary as words
from demo.make.domain import Aspect, Domain
from demo.make.narrative import with_article
from demo.make.rng import Rng


def general_adjective(rng: Rng, polarity: int) -> str:
    return rng.choice(words.GOOD_ADJECTIVES if polarity else words.BAD_ADJECTIVES)


def intensified(rng: Rng, adjective: str, polarity: int) -> str:
    """Half of the adjectives get a degree word, two thirds of those one that fits the sign only."""
    if rng.chance(0.5):
        return adjective
    fitting = words.GOOD_INTENSIFIERS if polarity else words.BAD_INTENSIFIERS
    return f"{rng.choice(fitting if rng.chance(0.67) else words.INTENSIFIERS)} {adjective}"


def thing_phrase(rng: Rng, domain: Domain) -> str:
    """The reviewed thing; a topic that has been narrowed to one thing keeps its name through the review."""
    return f"{rng.choice(('the', 'the', 'this'))} {rng.choice(domain.things)}"


def _aspect_phrase(rng: Rng, domain: Domain, aspect: Aspect) -> str:
    if rng.chance(0.25):
        return f"its {aspect.noun}"
    owner = f" of {thing_phrase(rng, domain)}" if rng.chance(0.15) else ""
    return f"the {aspect.noun}{owner}"


def _aspect_adjective(rng: Rng, aspect: Aspect, polarity: int) -> str:
    if rng.chance(0.5):
        return general_adjective(rng, polarity)
    return rng.choice(aspect.good if polarity else aspect.bad)


def _predicate(rng: Rng, domain: Domain, polarity: int, negated: bool) -> str:
    """Subject, verb and adjective: the aspect itself in four cases of five, else the whole thing."""
    inner = 1 - polarity if negated else polarity
    if rng.chance(0.2):
        subject, verb = thing_phrase(rng, domain), "was"
        adjective = general_adjective(rng, inner)
    else:
        aspect = rng.choice(domain.aspects)
        subject, verb = _aspect_phrase(rng, domain, aspect), "were" if aspect.plural else "was"
        adjective = _aspect_adjective(rng, aspect, inner)
    if negated:
        return f"{subject} {verb} {rng.choice(words.NEGATORS)} {adjective}"
    return f"{subject} {verb} {intensified(rng, adjective, polarity)}"


def _is_adjective(rng: Rng, domain: Domain, polarity: int) -> str:
    return _predicate(rng, domain, polarity, negated=False)


def _is_both(rng: Rng, domain: Domain, polarity: int) -> str:
    """Two adjectives side by side: the plainest evidence in the language of which words go together."""
    first = _predicate(rng, domain, polarity, negated=False)
    while first.endswith(second := general_adjective(rng, polarity)):
        pass
    return f"{first} and {second}"


def _is_not_adjective(rng: Rng, domain: Domain, polarity: int) -> str:
    return _predicate(rng, domain, polarity, negated=True)


def _moves_me(rng: Rng, domain: Domain, polarity: int) -> str:
    aspect = rng.choice(domain.aspects)
    past = rng.choice(words.GOOD_VERBS if polarity else words.BAD_VERBS).split("/")[1]
    often = rng.choice(("", "", "really ", "deeply ", "often ", "constantly "))
    return f"{_aspect_phrase(rng, domain, aspect)} {often}{past} {rng.choice(('me', 'us', 'everybody'))}"


def _fails_to_move_me(rng: Rng, domain: Domain, polarity: int) -> str:
    aspect = rng.choice(domain.aspects)
    base, past = rng.choice(words.BAD_VERBS if polarity else words.GOOD_VERBS).split("/")
    verb = rng.choice((f"failed to {base}", f"did not {base}", f"never once {past}", f"hardly {past}"))
    return f"{_aspect_phrase(rng, domain, aspect)} {verb} {rng.choice(('me', 'us', 'anybody'))}"


def _has_quality(rng: Rng, domain: Domain, polarity: int) -> str:
    noun = rng.choice(words.GOOD_NOUNS if polarity else words.BAD_NOUNS)
    fitting = ("was rich in", "was blessed with") if polarity else ("was riddled with", "suffered from")
    amount = rng.choice(("was full of", "showed a lot of", "had plenty of", *fitting))
    return f"{thing_phrase(rng, domain)} {amount} {noun}"


def _lacks_quality(rng: Rng, domain: Domain, polarity: int) -> str:
    noun = rng.choice(words.BAD_NOUNS if polarity else words.GOOD_NOUNS)
    amount = rng.choice(("was free of", "showed no trace of", "had little", "was without any", "had no"))
    return f"{thing_phrase(rng, domain)} {amount} {noun}"


def _i_find(rng: Rng, domain: Domain, polarity: int) -> str:
    aspect = rng.choice(domain.aspects)
    subject = rng.choice(("i", "we", "my {kin}", "{name}"))
    verb = rng.choice(("found", "called", "considered"))
    adjective = _aspect_adjective(rng, aspect, polarity)
    return f"{subject} {verb} {_aspect_phrase(rng, domain, aspect)} {adjective}"


def _i_cannot_call(rng: Rng, domain: Domain, polarity: int) -> str:
    aspect = rng.choice(domain.aspects)
    verb = rng.choice(("i would not call", "nobody could call", "i cannot call", "it is wrong to call"))
    adjective = _aspect_adjective(rng, aspect, 1 - polarity)
    return f"{verb} {_aspect_phrase(rng, domain, aspect)} {adjective}"


def _is_done(rng: Rng, domain: Domain, polarity: int) -> str:
    adverb = rng.choice(words.GOOD_ADVERBS if polarity else words.BAD_ADVERBS)
    return f"{thing_phrase(rng, domain)} was {adverb} {rng.choice(words.PARTICIPLES)}"


def _compares(rng: Rng, domain: Domain, polarity: int) -> str:
    """Better than something bad is still better: the adjective inside the comparison does not count."""
    degree = rng.choice(("", "", "far ", "so much "))
    comparison = f"{degree}{'better' if polarity else 'worse'}"
    other = f"the {general_adjective(rng, rng.below(2))} {rng.choice(('one', 'one', domain.things[0]))}"
    tail = rng.choice(("in {place}", "of {year}"))
    return f"{thing_phrase(rng, domain)} was {comparison} than {other} {tail}"


def _remark(rng: Rng, domain: Domain, polarity: int) -> str:
    return rng.choice(domain.praises if polarity else domain.complaints)


def _is_a(rng: Rng, domain: Domain, polarity: int) -> str:
    adjective = with_article(general_adjective(rng, polarity))
    return f"{rng.choice(('it', 'this'))} was {adjective} {rng.choice(domain.things)}"


Form = Callable[[Rng, Domain, int], str]

# Repetition is frequency: five clauses of 23 negate a word of the other sign.
FORMS: tuple[Form, ...] = (
    _is_adjective,
    _is_adjective,
    _is_adjective,
    _is_both,
    _is_both,
    _is_both,
    _is_not_adjective,
    _is_not_adjective,
    _moves_me,
    _moves_me,
    _fails_to_move_me,
    _has_quality,
    _has_quality,
    _lacks_quality,
    _i_find,
    _i_find,
    _i_cannot_call,
    _is_done,
    _compares,
    _remark,
    _remark,
    _is_a,
    _is_a,
)


def plain_opinion(rng: Rng, domain: Domain, polarity: int) -> str:
    """One clause whose words all have the sign of the clause."""
    return rng.choice((_is_adjective, _is_both, _i_find))(rng, domain, polarity)


def opinion(rng: Rng, domain: Domain, polarity: int) -> str:
    """One clause without its full stop, open slots still in it."""
    return rng.choice(FORMS)(rng, domain, polarity)
