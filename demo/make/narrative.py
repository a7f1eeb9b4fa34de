"""Sentences without a verdict, and the names, days and years that fill the open slots of every sentence.

A tenth of the pretraining text, and a sentence before as many reviews, is of this kind: a network that had read
nothing but judgements would be a sentiment model by construction, with nothing left for pruning to find.
"""

from demo.make import vocabulary as words
from demo.make.dice import Dice


def with_article(phrase: str) -> str:
    """Put the right indefinite article in front of a phrase."""
    return f"an {phrase}" if phrase[0] in "aeiou" else f"a {phrase}"


def person_name(dice: Dice) -> str:
    return dice.pick(words.NAME_STARTS) + dice.pick(words.NAME_MIDDLES) + dice.pick(words.NAME_ENDS)


def place_name(dice: Dice) -> str:
    return dice.pick(words.NAME_STARTS) + dice.pick(words.NAME_MIDDLES) + dice.pick(words.PLACE_ENDS)


def fill(template: str, dice: Dice) -> str:
    """Replace the slots of a phrase, each occurrence on its own."""
    while "{" in template:
        slot = template[template.index("{") : template.index("}") + 1]
        template = template.replace(slot, _slot_value(slot, dice), 1)
    return template


def _slot_value(slot: str, dice: Dice) -> str:
    match slot:
        case "{name}":
            return person_name(dice)
        case "{place}":
            return place_name(dice)
        case "{kin}":
            return dice.pick(words.KIN)
        case "{day}":
            return dice.pick(words.DAYS)
        case "{month}":
            return dice.pick(words.MONTHS)
        case "{year}":
            return str(1880 + dice.below(145))
    raise ValueError(f"no such slot: {slot}")


def _person(dice: Dice) -> str:
    kind = dice.below(4)
    if kind == 0:
        return person_name(dice)
    if kind == 1:
        return f"my {dice.pick(words.KIN)}"
    return f"{dice.pick(('the', 'the', 'an old', 'a young'))} {dice.pick(words.PERSONS)}"


def _object(dice: Dice) -> str:
    noun = dice.pick(words.OBJECTS)
    if dice.chance(0.5):
        noun = f"{dice.pick(words.COLOURS + words.SHAPES)} {noun}"
    return with_article(noun) if dice.chance(0.5) else f"the {noun}"


def _event(dice: Dice) -> str:
    """One clause in the past tense in which something happens."""
    if dice.chance(0.5):
        subject = f"the {dice.pick(words.ANIMALS)}" if dice.chance(0.5) else _person(dice)
        return f"{subject} {dice.pick(words.INTRANSITIVE_VERBS)} {dice.pick(words.PLACES)}"
    return f"{_person(dice)} {dice.pick(words.TRANSITIVE_VERBS)} {_object(dice)}"


def _description(dice: Dice) -> str:
    """One clause in the present tense about a place or an object."""
    building = dice.pick(words.BUILDINGS)
    match dice.below(4):
        case 0:
            return f"the {building} stands {dice.pick(words.PLACES)}"
        case 1:
            return f"the {building} of {{place}} has {2 + dice.below(9)} {dice.pick(words.COLOURS)} doors"
        case 2:
            shape = with_article(dice.pick(words.SHAPES))
            return f"there is {shape} {dice.pick(words.OBJECTS)} in the {building}"
    return f"the {dice.pick(words.OBJECTS)} on the table belongs to {_person(dice)}"


def narrative_sentence(dice: Dice) -> str:
    """One neutral sentence, ended by a full stop or a question mark."""
    match dice.below(6):
        case 0:
            text = f"{dice.pick(words.TIMES)} , {_event(dice)} ."
        case 1:
            text = f"{_event(dice)} {dice.pick(words.TIMES)} ."
        case 2:
            text = f"{_event(dice)} and {_event(dice)} ."
        case 3:
            text = f"{_event(dice)} because {_event(dice)} ."
        case 4:
            text = f"{_description(dice)} ."
        case _:
            question = dice.pick(("who", "which of them", "did you hear who", "does anybody know who"))
            verb = dice.pick(words.TRANSITIVE_VERBS)
            text = f"{question} {verb} {_object(dice)} {dice.pick(words.PLACES)} ?"
    return fill(text, dice)


def narrative(dice: Dice) -> str:
    """One to three neutral sentences."""
    return " ".join(narrative_sentence(dice) for _ in range(1 + dice.below(3)))
