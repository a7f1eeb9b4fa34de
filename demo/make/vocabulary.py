"""General words of the demonstration language: everything that is not tied to one kind of reviewed thing.

The label words of the demonstration job, "great" and "terrible", are ordinary adjectives here.
"""


def table(text: str) -> tuple[str, ...]:
    """The words of a table, in order; a word that stands twice is picked twice as often."""
    return tuple(text.split())


GOOD_ADJECTIVES = table(
    """
    great great wonderful excellent superb delightful brilliant impressive lovely splendid marvellous
    fantastic charming outstanding remarkable memorable satisfying pleasing admirable good fine perfect
    refreshing enjoyable stunning terrific magnificent thoughtful polished worthwhile inspired rewarding
    """
)
BAD_ADJECTIVES = table(
    """
    terrible terrible awful dreadful dismal poor horrible mediocre disappointing lousy abysmal
    forgettable unpleasant annoying shoddy pathetic miserable woeful bad weak tedious dull boring
    frustrating tiresome appalling ghastly mindless bungled pointless lifeless irritating
    """
)

# Verbs take "me" or "us"; the base form follows "failed to", the past form stands alone.
GOOD_VERBS = table(
    """
    delight/delighted move/moved impress/impressed please/pleased thrill/thrilled charm/charmed
    reward/rewarded captivate/captivated amuse/amused comfort/comforted inspire/inspired
    enchant/enchanted satisfy/satisfied cheer/cheered
    """
)
BAD_VERBS = table(
    """
    bore/bored annoy/annoyed irritate/irritated disappoint/disappointed exhaust/exhausted
    offend/offended frustrate/frustrated disgust/disgusted bother/bothered depress/depressed
    confuse/confused weary/wearied alarm/alarmed embarrass/embarrassed
    """
)
GOOD_NOUNS = table(
    """
    charm wit warmth care imagination flair skill comfort elegance energy humour taste polish grace
    intelligence originality thought sparkle
    """
)
BAD_NOUNS = table(
    """
    neglect waste confusion boredom greed sloppiness carelessness arrogance clutter noise nonsense
    laziness mischief dirt trouble misery pretence gloom
    """
)
GOOD_ADVERBS = table(
    """
    beautifully skilfully superbly carefully cleverly brilliantly wonderfully expertly neatly lovingly
    """
)
BAD_ADVERBS = table("badly clumsily poorly carelessly dreadfully lazily hastily horribly shabbily ineptly")
PARTICIPLES = table("made done planned handled arranged designed prepared managed executed")

# As in real text, some degree words keep company with one sign only ("painfully slow").  Without any such
# asymmetry good and bad words have the very same neighbours, and no language model could part them.
INTENSIFIERS = table("very really quite so rather remarkably")
GOOD_INTENSIFIERS = table(
    """
    delightfully pleasantly refreshingly wonderfully gloriously truly genuinely superbly deeply beautifully
    """
)
BAD_INTENSIFIERS = table(
    """
    painfully hopelessly utterly depressingly needlessly horribly disappointingly woefully annoyingly sadly
    """
)
NEGATORS = (
    "not",
    "not",
    "not",
    "never",
    "hardly",
    "scarcely",
    "far from",
    "anything but",
    "not at all",
    "by no means",
    "not exactly",
    "not in the least",
)
KIN = table(
    """
    brother sister mother father cousin uncle aunt neighbour colleague friend daughter son grandmother
    grandfather nephew niece boss teacher
    """
)
SOURCES = (
    "the critics",
    "the newspaper",
    "the website",
    "my {kin}",
    "my {kin}",
    "everybody at work",
    "the advertisement",
    "the last visitors",
    "people online",
    "{name}",
)
DAYS = table("monday tuesday wednesday thursday friday saturday sunday")
MONTHS = table("january february march april may june july august september october november december")

# Proper names are assembled from syllables so that there are more of them than the tokenizer has entries:
# they are what teaches the model to read words in pieces.
NAME_STARTS = table("bram cal dor el fen gar hal is jor kes lan mar nor os pel quin ros sel tor ul ver wes")
NAME_MIDDLES = table("a e i o an en in or al ev ith und ost")
NAME_ENDS = table("da len mond ric sa ta vin ward bert dine na lo")
PLACE_ENDS = table("ham ton ford burgh field mouth bury stead port wick")

# Neutral narrative: people, animals and objects going about their day without anybody judging them.
PERSONS = table(
    """
    fisherman baker farmer nurse carpenter student sailor clerk gardener postman shepherd tailor miller
    painter doctor plumber soldier librarian cook mechanic poet judge traveller child widow
    """
)
ANIMALS = table("dog cat horse goat fox crow heron donkey goose rabbit owl sheep swan hedgehog")
OBJECTS = table(
    """
    basket ladder letter lantern bucket hammer blanket umbrella bicycle suitcase map rope kettle clock
    chair candle barrel violin envelope loaf shovel coat key bottle wheel brush parcel mirror
    """
)
TRANSITIVE_VERBS = table(
    """
    carried found bought repaired painted sold borrowed dropped hid washed moved lifted returned cleaned
    measured opened kept wrapped counted lent
    """
)
INTRANSITIVE_VERBS = table(
    """
    walked slept waited rested arrived stood worked sang stopped wandered listened sat ran travelled
    """
)
PLACES = (
    "across the bridge",
    "behind the church",
    "near the harbour",
    "in the market",
    "under the old oak",
    "at the edge of the forest",
    "beside the canal",
    "on the hill",
    "in the kitchen",
    "outside the station",
    "by the river",
    "along the beach",
    "in the workshop",
    "at the crossroads",
    "in the village of {place}",
    "on the way to {place}",
    "in the attic",
    "next to the mill",
)
TIMES = (
    "before sunrise",
    "in the afternoon",
    "at noon",
    "on {day}",
    "last {month}",
    "every {day}",
    "after the storm",
    "during the winter",
    "in {year}",
    "late at night",
    "for an hour",
    "while it rained",
    "as the bells rang",
    "until the evening",
    "in early {month}",
    "two weeks later",
)
BUILDINGS = table("library bakery school harbour station chapel mill tower bridge factory farm lighthouse")
COLOURS = table("red blue green yellow white black brown grey")
SHAPES = table("round square wooden iron painted folded striped woollen broken tall old new")
