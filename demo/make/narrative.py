"""Neutral sentences, and the names, days and years that fill the open slots of every sentence.

A tenth of the pretraining text, and a sentence before as many reviews, is of this kind: a network that had read
nothing but judgements would be a sentiment model by construction, with nothing left for pruning to find.
"""

from demo.make import vocabulary as words
from demo.make.rng import Rng


def with_article(phrase: str) -> str:
    """Put the right indefinite article in front of a phrase."""
    return f"an {phrase}" if phrase[0] in "aeiou" else f"a {phrase}"


def person_name(rng: Rng) -> str:
    return rng.choice(words.NAME_STARTS) + rng.choice(words.NAME_MIDDLES) + rng.choice(words.NAME_ENDS)


def place_name(rng: Rng) -> str:
    return rng.choice(words.NAME_STARTS) + rng.choice(words.NAME_MIDDLES) + rng.choice(words.PLACE_ENDS)


def fill(template: str, rng: Rng) -> str:
    """Replace the slots of a phrase, each occurrence on its own."""
    while "{" in template:
        slot = template[template.index("{") : template.index("}") + 1]
        template = template.replace(slot, _slot_value(slot, rng), 1)
    return template


def _slot_value(slot: str, rng: Rng) -> str:
    match slot:
        case "{name}":
            return person_name(rng)
        case "{place}":
            return place_name(rng)
        case "{kin}":
            return rng.choice(words.KIN)
        case "{day}":
            return rng.choice(words.DAYS)
        case "{month}":
            return rng.choice(words.MONTHS)
        case "{year}":
            return str(1880 + rng.below(145))
    raise ValueError(f"no such slot: {slot}")


def _person(rng: Rng) -> str:
    kind = rng.below(4)
    if kind == 0:
        return person_name(rng)
    if kind == 1:
        return f"my {rng.choice(words.KIN)}"
    return f"{rng.choice(('the', 'the', 'an old', 'a young'))} {rng.choice(words.PERSONS)}"


def _object(rng: Rng) -> str:
    noun = rng.choice(words.OBJECTS)
    if rng.chance(0.5):
        noun = f"{rng.choice(words.COLOURS + words.SHAPES)} {noun}"
    return with_article(noun) if rng.chance(0.5) else f"the {noun}"


def _event(rng: Rng) -> str:
    """One clause in the past tense in which something happens."""
    if rng.chance(0.5):
        subject = f"the {rng.choice(words.ANIMALS)}" if rng.chance(0.5) else _person(rng)
        return f"{subject} {rng.choice(words.INTRANSITIVE_VERBS)} {rng.choice(words.PLACES)}"
    return f"{_person(rng)} {rng.choice(words.TRANSITIVE_VERBS)} {_object(rng)}"


def _description(rng: Rng) -> str:
    """One clause in the present tense about a place or an object."""
    building = rng.choice(words.BUILDINGS)
    match rng.below(4):
        case 0:
            return f"the {building} stands {rng.choice(words.PLACES)}"
        case 1:
            return f"the {building} of {{place}} has {2 + rng.below(9)} {rng.choice(words.COLOURS)} doors"
        case 2:
            shape = with_article(rng.choice(words.SHAPES))
            return f"there is {shape} {rng.choice(words.OBJECTS)} in the {building}"
    return f"the {rng.choice(words.OBJECTS)} on the table belongs to {_person(rng)}"


def narrative_sentence(rng: Rng) -> str:
    """One neutral sentence, ended by a full stop or a question mark."""
    match rng.below(6):
        case 0:
            text = f"{rng.choice(words.TIMES)} , {_event(rng)} ."
        case 1:
            text = f"{_event(rng)} {rng.choice(words.TIMES)} ."
        case 2:
            text = f"{_event(rng)} and {_event(rng)} ."
        case 3:
            text = f"{_event(rng)} because {_event(rng)} ."
        case 4:
            text = f"{_description(rng)} ."
        case _:
            question = rng.choice(("who", "which of them", "did you hear who", "does anybody know who"))
            verb = rng.choice(words.TRANSITIVE_VERBS)
            text = f"{question} {verb} {_object(rng)} {rng.choice(words.PLACES)} ?"
    return fill(text, rng)


def narrative(rng: Rng) -> str:
    """One to three neutral sentences."""
    return " ".join(narrative_sentence(rng) for _ in range(1 + rng.below(3)))
