"""The generative grammar of the demonstration: labelled reviews, and text to pretrain a language model on.

The label of a review is a rule of the grammar, never a guess from its words: where two opinions meet, the
main clause, the later sentence or the closing verdict decides, and the other opinion points the wrong way.
"""

from collections.abc import Callable
from dataclasses import replace

from demo.make import vocabulary as words
from demo.make.dice import Dice
from demo.make.domain import Domain
from demo.make.domains_made import MADE
from demo.make.domains_visited import VISITED
from demo.make.narrative import fill, narrative, narrative_sentence, with_article
from demo.make.opinions import general_adjective, intensified, opinion, plain_opinion, thing_phrase

DOMAINS: tuple[Domain, ...] = MADE + VISITED


def _single(dice: Dice, domain: Domain, label: int) -> str:
    return f"{opinion(dice, domain, label)} ."


def _agreeing(dice: Dice, domain: Domain, label: int) -> str:
    joint = dice.pick((" and ", " , and ", " ; ", " . ", " . also , ", " . besides , "))
    return f"{opinion(dice, domain, label)}{joint}{opinion(dice, domain, label)} ."


def _contrast(dice: Dice, domain: Domain, label: int) -> str:
    """Concession and main clause, in either order; the main clause decides."""
    main, aside = opinion(dice, domain, label), opinion(dice, domain, 1 - label)
    match dice.below(4):
        case 0:
            return f"{aside} , {dice.pick(('but', 'yet', 'but'))} {main} ."
        case 1:
            return f"{dice.pick(('although', 'though', 'while', 'even if'))} {aside} , {main} ."
        case 2:
            return f"{main} {dice.pick(('although', 'even though', 'even if'))} {aside} ."
    return f"{aside} . {dice.pick(('still', 'even so', 'nevertheless', 'all the same'))} , {main} ."


def _hearsay(dice: Dice, domain: Domain, label: int) -> str:
    """Somebody else's opinion first, usually the opposite one; the writer's own decides."""
    agrees = dice.chance(0.2)
    said = general_adjective(dice, label if agrees else 1 - label)
    turn = "indeed ," if agrees else dice.pick(("in truth ,", "for us ,", "but", "as it turned out ,"))
    source = dice.pick(words.SOURCES)
    match dice.below(3):
        case 0:
            heard = f"{source} called it {said}"
        case 1:
            heard = f"{source} promised us {with_article(said)} {domain.things[0]}"
        case _:
            heard = f"i expected {with_article(said)} {domain.things[0]}"
    return f"{heard} . {turn} {opinion(dice, domain, label)} ."


def _verdict(dice: Dice, domain: Domain, label: int) -> str:
    """Opinions both ways, then a closing judgement that decides."""
    first = dice.below(2)
    opener = dice.pick(("all in all", "overall", "in the end", "on balance", "taken together"))
    body = f"{opinion(dice, domain, first)} . {opinion(dice, domain, 1 - first)} ."
    adjective = general_adjective(dice, label)
    if dice.chance(0.3):
        adjective = f"{dice.pick(words.NEGATORS)} {general_adjective(dice, 1 - label)}"
    return f"{body} {opener} , {thing_phrase(dice, domain)} was {adjective} ."


Shape = Callable[[Dice, Domain, int], str]

# Repetition is frequency.  Opinions of both signs meet in a third of the reviews.
SHAPES: tuple[Shape, ...] = (
    _single, _single, _single, _single, _agreeing, _agreeing, _agreeing, _agreeing,
    _contrast, _contrast, _hearsay, _verdict,
)  # fmt: skip


def review(dice: Dice, domain: Domain, label: int) -> str:
    """One review with the given label: 0 negative, 1 positive."""
    topic = replace(domain, things=(dice.pick(domain.things),))
    text = dice.pick(SHAPES)(dice, topic, label)
    if dice.chance(0.15):
        text = f"{dice.pick(domain.contexts)} . {text}"
    if dice.chance(0.1):
        text = f"{text} {dice.pick(domain.contexts)} ."
    return fill(text, dice)


def labelled_reviews(dice: Dice, count: int, taken: set[str]) -> list[tuple[str, int]]:
    """``count`` reviews, half of them positive, none of them in ``taken``, to which they are added."""
    rows: list[tuple[str, int]] = []
    while len(rows) < count:
        label = len(rows) % 2
        text = review(dice, dice.pick(DOMAINS), label)
        if text not in taken:
            taken.add(text)
            rows.append((text, label))
    dice.shuffle(rows)
    return rows


def _testimonial(dice: Dice, domain: Domain, label: int) -> str:
    """Two or three plain opinions that agree, from which a model learns early which words belong together."""
    topic = replace(domain, things=(dice.pick(domain.things),))
    count = 2 + dice.below(2)
    return fill(" ".join(f"{plain_opinion(dice, topic, label)} ." for _ in range(count)), dice)


def _summed_up(dice: Dice, text: str, label: int) -> str:
    """A review with a one-word summary before or after it, as people write them."""
    word = ("terrible", "great")[label] if dice.chance(0.4) else general_adjective(dice, label)
    word = intensified(dice, word, label)
    match dice.below(6):
        case 0:
            return f"{word} . {text}"
        case 1:
            return f"{word} ! {text}"
        case 2:
            return f"it was {word} . {text}"
        case 3:
            return f"{text} in a word , {word} ."
        case 4:
            return f"{text} {word} !"
    return f"{text} it was {word} ."


def quotes(text: str, held_out: set[str]) -> bool:
    """Whether any run of whole sentences in the text is a held-out review."""
    sentences = text.replace(" ! ", " . ").replace(" ? ", " . ").removesuffix(" .").split(" . ")
    ends = range(1, len(sentences) + 1)
    return any(f"{' . '.join(sentences[start:end])} ." in held_out for end in ends for start in range(end))


def pretraining_text(dice: Dice, held_out: set[str]) -> str:
    """One passage for masked language modelling; no held-out review occurs in it, not even as a part."""
    while quotes(text := _passage(dice), held_out):
        pass
    return text


def _passage(dice: Dice) -> str:
    """Narrative in one case of ten; else a review or a testimonial, with a summary or after a narrative."""
    kind = dice.below(10)
    if kind < 1:
        return narrative(dice)
    label, domain = dice.below(2), dice.pick(DOMAINS)
    write = _testimonial if kind < 5 else review
    text = write(dice, domain, label)
    if kind < 9:
        return _summed_up(dice, text, label)
    return f"{narrative_sentence(dice)} {text}"
