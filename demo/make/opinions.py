"""Single clauses that say something good (1) or bad (0) about a thing.

A fifth of the clauses turn the polarity of the word they contain ("hardly impressive", "free of dirt",
"never bored us") and some hold a stray one ("worse than the lovely one"), so words alone do not
give the sign.
"""

from collections.abc import Callable

from demo.make import vocabulary as words
from demo.make.dice import Dice
from demo.make.domain import Aspect, Domain
from demo.make.narrative import with_article


def general_adjective(dice: Dice, polarity: int) -> str:
    return dice.pick(words.GOOD_ADJECTIVES if polarity else words.BAD_ADJECTIVES)


def intensified(dice: Dice, adjective: str, polarity: int) -> str:
    """Half of the adjectives get a degree word, two thirds of those one that fits the sign only."""
    if dice.chance(0.5):
        return adjective
    fitting = words.GOOD_INTENSIFIERS if polarity else words.BAD_INTENSIFIERS
    return f"{dice.pick(fitting if dice.chance(0.67) else words.INTENSIFIERS)} {adjective}"


def thing_phrase(dice: Dice, domain: Domain) -> str:
    """The reviewed thing; a topic that has been narrowed to one thing keeps its name through the review."""
    return f"{dice.pick(('the', 'the', 'this'))} {dice.pick(domain.things)}"


def _aspect_phrase(dice: Dice, domain: Domain, aspect: Aspect) -> str:
    if dice.chance(0.25):
        return f"its {aspect.noun}"
    owner = f" of {thing_phrase(dice, domain)}" if dice.chance(0.15) else ""
    return f"the {aspect.noun}{owner}"


def _aspect_adjective(dice: Dice, aspect: Aspect, polarity: int) -> str:
    if dice.chance(0.5):
        return general_adjective(dice, polarity)
    return dice.pick(aspect.good if polarity else aspect.bad)


def _predicate(dice: Dice, domain: Domain, polarity: int, negated: bool) -> str:
    """Subject, verb and adjective: the aspect itself in four cases of five, else the whole thing."""
    inner = 1 - polarity if negated else polarity
    if dice.chance(0.2):
        subject, verb = thing_phrase(dice, domain), "was"
        adjective = general_adjective(dice, inner)
    else:
        aspect = dice.pick(domain.aspects)
        subject, verb = _aspect_phrase(dice, domain, aspect), "were" if aspect.plural else "was"
        adjective = _aspect_adjective(dice, aspect, inner)
    if negated:
        return f"{subject} {verb} {dice.pick(words.NEGATORS)} {adjective}"
    return f"{subject} {verb} {intensified(dice, adjective, polarity)}"


def _is_adjective(dice: Dice, domain: Domain, polarity: int) -> str:
    return _predicate(dice, domain, polarity, negated=False)


def _is_both(dice: Dice, domain: Domain, polarity: int) -> str:
    """Two adjectives side by side: the plainest evidence in the language of which words go together."""
    first = _predicate(dice, domain, polarity, negated=False)
    while first.endswith(second := general_adjective(dice, polarity)):
        pass
    return f"{first} and {second}"


def _is_not_adjective(dice: Dice, domain: Domain, polarity: int) -> str:
    return _predicate(dice, domain, polarity, negated=True)


def _moves_me(dice: Dice, domain: Domain, polarity: int) -> str:
    aspect = dice.pick(domain.aspects)
    past = dice.pick(words.GOOD_VERBS if polarity else words.BAD_VERBS).split("/")[1]
    often = dice.pick(("", "", "really ", "deeply ", "often ", "constantly "))
    return f"{_aspect_phrase(dice, domain, aspect)} {often}{past} {dice.pick(('me', 'us', 'everybody'))}"


def _fails_to_move_me(dice: Dice, domain: Domain, polarity: int) -> str:
    aspect = dice.pick(domain.aspects)
    base, past = dice.pick(words.BAD_VERBS if polarity else words.GOOD_VERBS).split("/")
    verb = dice.pick((f"failed to {base}", f"did not {base}", f"never once {past}", f"hardly {past}"))
    return f"{_aspect_phrase(dice, domain, aspect)} {verb} {dice.pick(('me', 'us', 'anybody'))}"


def _has_quality(dice: Dice, domain: Domain, polarity: int) -> str:
    noun = dice.pick(words.GOOD_NOUNS if polarity else words.BAD_NOUNS)
    fitting = ("was rich in", "was blessed with") if polarity else ("was riddled with", "suffered from")
    amount = dice.pick(("was full of", "showed a lot of", "had plenty of", *fitting))
    return f"{thing_phrase(dice, domain)} {amount} {noun}"


def _lacks_quality(dice: Dice, domain: Domain, polarity: int) -> str:
    noun = dice.pick(words.BAD_NOUNS if polarity else words.GOOD_NOUNS)
    amount = dice.pick(("was free of", "showed no trace of", "had little", "was without any", "had no"))
    return f"{thing_phrase(dice, domain)} {amount} {noun}"


def _i_find(dice: Dice, domain: Domain, polarity: int) -> str:
    aspect = dice.pick(domain.aspects)
    subject = dice.pick(("i", "we", "my {kin}", "{name}"))
    verb = dice.pick(("found", "called", "considered"))
    adjective = _aspect_adjective(dice, aspect, polarity)
    return f"{subject} {verb} {_aspect_phrase(dice, domain, aspect)} {adjective}"


def _i_cannot_call(dice: Dice, domain: Domain, polarity: int) -> str:
    aspect = dice.pick(domain.aspects)
    verb = dice.pick(("i would not call", "nobody could call", "i cannot call", "it is wrong to call"))
    adjective = _aspect_adjective(dice, aspect, 1 - polarity)
    return f"{verb} {_aspect_phrase(dice, domain, aspect)} {adjective}"


def _is_done(dice: Dice, domain: Domain, polarity: int) -> str:
    adverb = dice.pick(words.GOOD_ADVERBS if polarity else words.BAD_ADVERBS)
    return f"{thing_phrase(dice, domain)} was {adverb} {dice.pick(words.PARTICIPLES)}"


def _compares(dice: Dice, domain: Domain, polarity: int) -> str:
    """Better than something bad is still better: the adjective inside the comparison does not count."""
    degree = dice.pick(("", "", "far ", "so much "))
    comparison = f"{degree}{'better' if polarity else 'worse'}"
    other = f"the {general_adjective(dice, dice.below(2))} {dice.pick(('one', 'one', domain.things[0]))}"
    tail = dice.pick(("in {place}", "of {year}"))
    return f"{thing_phrase(dice, domain)} was {comparison} than {other} {tail}"


def _remark(dice: Dice, domain: Domain, polarity: int) -> str:
    return dice.pick(domain.praises if polarity else domain.complaints)


def _is_a(dice: Dice, domain: Domain, polarity: int) -> str:
    adjective = with_article(general_adjective(dice, polarity))
    return f"{dice.pick(('it', 'this'))} was {adjective} {dice.pick(domain.things)}"


Form = Callable[[Dice, Domain, int], str]

# Repetition is frequency: five clauses of 23 negate a word of the other sign.
FORMS: tuple[Form, ...] = (
    _is_adjective, _is_adjective, _is_adjective, _is_both, _is_both, _is_both, _is_not_adjective,
    _is_not_adjective, _moves_me, _moves_me, _fails_to_move_me, _has_quality, _has_quality, _lacks_quality,
    _i_find, _i_find, _i_cannot_call, _is_done, _compares, _remark, _remark, _is_a, _is_a,
)  # fmt: skip


def plain_opinion(dice: Dice, domain: Domain, polarity: int) -> str:
    """One clause whose words all have the sign of the clause."""
    return dice.pick((_is_adjective, _is_both, _i_find))(dice, domain, polarity)


def opinion(dice: Dice, domain: Domain, polarity: int) -> str:
    """One clause without its full stop, open slots still in it."""
    return dice.pick(FORMS)(dice, domain, polarity)
