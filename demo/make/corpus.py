"""The generative grammar of the demonstration: labelled reviews, and text to pretrain a language model on.

The label of a review is a rule of the grammar, never a guess from its words: where two opinions meet, the
main clause, the later sentence or the closing verdict decides, and the other opinion points the wrong way.
"""

from collections.abc import Callable
from dataclasses import replace

from demo.make import vocabulary as words
from demo.make.domain import Domain
from demo.make.narrative import fill, narrative, narrative_sentence, with_article
from demo.make.opinions import general_adjective, intensified, opinion, plain_opinion, thing_phrase
from demo.make.place_domains import PLACES
from demo.make.product_domains import PRODUCTS
from demo.make.rng import Rng

DOMAINS: tuple[Domain, ...] = PRODUCTS + PLACES


def _single(rng: Rng, domain: Domain, label: int) -> str:
    return f"{opinion(rng, domain, label)} ."


def _agreeing(rng: Rng, domain: Domain, label: int) -> str:
    joint = rng.choice((" and ", " , and ", " ; ", " . ", " . also , ", " . besides , "))
    return f"{opinion(rng, domain, label)}{joint}{opinion(rng, domain, label)} ."


def _contrast(rng: Rng, domain: Domain, label: int) -> str:
    """Concession and main clause, in either order; the main clause decides."""
    main, aside = opinion(rng, domain, label), opinion(rng, domain, 1 - label)
    match rng.below(4):
        case 0:
            return f"{aside} , {rng.choice(('but', 'yet', 'but'))} {main} ."
        case 1:
            return f"{rng.choice(('although', 'though', 'while', 'even if'))} {aside} , {main} ."
        case 2:
            return f"{main} {rng.choice(('although', 'even though', 'even if'))} {aside} ."
    return f"{aside} . {rng.choice(('still', 'even so', 'nevertheless', 'all the same'))} , {main} ."


def _hearsay(rng: Rng, domain: Domain, label: int) -> str:
    """Somebody else's opinion first, usually the opposite one; the writer's own decides."""
    agrees = rng.chance(0.2)
    said = general_adjective(rng, label if agrees else 1 - label)
    turn = "indeed ," if agrees else rng.choice(("in truth ,", "for us ,", "but", "as it turned out ,"))
    source = rng.choice(words.SOURCES)
    match rng.below(3):
        case 0:
            heard = f"{source} called it {said}"
        case 1:
            heard = f"{source} promised us {with_article(said)} {domain.things[0]}"
        case _:
            heard = f"i expected {with_article(said)} {domain.things[0]}"
    return f"{heard} . {turn} {opinion(rng, domain, label)} ."


def _verdict(rng: Rng, domain: Domain, label: int) -> str:
    """Opinions both ways, then a closing judgement that decides."""
    first = rng.below(2)
    opener = rng.choice(("all in all", "overall", "in the end", "on balance", "taken together"))
    body = f"{opinion(rng, domain, first)} . {opinion(rng, domain, 1 - first)} ."
    adjective = general_adjective(rng, label)
    if rng.chance(0.3):
        adjective = f"{rng.choice(words.NEGATORS)} {general_adjective(rng, 1 - label)}"
    return f"{body} {opener} , {thing_phrase(rng, domain)} was {adjective} ."


Shape = Callable[[Rng, Domain, int], str]

# Repetition is frequency.  Opinions of both signs meet in a third of the reviews.
SHAPES: tuple[Shape, ...] = (
    _single,
    _single,
    _single,
    _single,
    _agreeing,
    _agreeing,
    _agreeing,
    _agreeing,
    _contrast,
    _contrast,
    _hearsay,
    _verdict,
)


def review(rng: Rng, domain: Domain, label: int) -> str:
    """One review with the given label: 0 negative, 1 positive."""
    topic = replace(domain, things=(rng.choice(domain.things),))
    text = rng.choice(SHAPES)(rng, topic, label)
    if rng.chance(0.15):
        text = f"{rng.choice(domain.contexts)} . {text}"
    if rng.chance(0.1):
        text = f"{text} {rng.choice(domain.contexts)} ."
    return fill(text, rng)


def labelled_reviews(rng: Rng, count: int, taken: set[str]) -> list[tuple[str, int]]:
    """``count`` reviews, half of them positive, none of them in ``taken``, to which they are added."""
    rows: list[tuple[str, int]] = []
    while len(rows) < count:
        label = len(rows) % 2
        text = review(rng, rng.choice(DOMAINS), label)
        if text not in taken:
            taken.add(text)
            rows.append((text, label))
    rng.shuffle(rows)
    return rows


def _testimonial(rng: Rng, domain: Domain, label: int) -> str:
    """Two or three plain opinions that agree, from which a model learns early which words belong together."""
    topic = replace(domain, things=(rng.choice(domain.things),))
    count = 2 + rng.below(2)
    return fill(" ".join(f"{plain_opinion(rng, topic, label)} ." for _ in range(count)), rng)


def _summed_up(rng: Rng, text: str, label: int) -> str:
    """A review with a one-word summary before or after it, as people write them."""
    word = ("terrible", "great")[label] if rng.chance(0.4) else general_adjective(rng, label)
    word = intensified(rng, word, label)
    match rng.below(6):
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


def pretraining_text(rng: Rng, held_out: set[str]) -> str:
    """One passage for masked language modelling; no held-out review occurs in it, not even as a part."""
    while quotes(text := _passage(rng), held_out):
        pass
    return text


def _passage(rng: Rng) -> str:
    """Narrative in one case of ten; else a review or a testimonial, with a summary or after a narrative."""
    kind = rng.below(10)
    if kind < 1:
        return narrative(rng)
    label, domain = rng.below(2), rng.choice(DOMAINS)
    write = _testimonial if kind < 5 else review
    text = write(rng, domain, label)
    if kind < 9:
        return _summed_up(rng, text, label)
    return f"{narrative_sentence(rng)} {text}"
