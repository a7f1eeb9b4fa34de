"""Word tables for reviews of things that somebody made and one can own: films, books, gadgets."""

from demo.make.domain import make_domain

FILM = make_domain(
    "film movie comedy thriller documentary drama sequel western",
    """plot: gripping clever inventive layered unpredictable | predictable muddled threadbare contrived thin
    acting: subtle natural powerful moving | wooden stiff hollow exaggerated flat
    *jokes: sharp fresh hilarious clever | stale crude limp tired old
    ending: moving surprising unpredictable earned | rushed predictable abrupt silly cold
    dialogue: crisp witty natural sharp | clumsy flat stilted endless
    camera work: elegant inventive steady bold | shaky ugly careless lazy
    music: haunting rich warm subtle | loud intrusive cheap repetitive
    *characters: vivid believable complex funny | flat shallow lifeless thin""",
    """we watched it at the cinema by the river
    it was shown on a {day} evening in {month}
    it runs for two hours and ten minutes
    {name} directed it and {name} wrote the script
    the story takes place in {place} in {year}
    i saw it with my {kin} on the last {day} of {month}""",
    """i looked at my watch every ten minutes
    half of the audience left before the end
    i fell asleep before the second act
    i want those two hours of my life back
    somebody should have burned the script
    we walked out after forty minutes""",
    """i laughed until my sides hurt
    the audience stood and clapped at the end
    i wept through the whole last act
    we stayed in our seats until the final credits
    i have already bought tickets to see it again
    two hours went by like ten minutes""",
)

BOOK = make_domain(
    "novel book biography memoir mystery saga",
    """prose: elegant crisp lyrical clear rich | clumsy dense stilted dry purple
    story: gripping moving layered fresh | thin stale muddled confusing slow
    *chapters: short lively sharp vivid | endless dry repetitive padded dull
    *characters: vivid complex believable warm | flat shallow cold lifeless
    opening: bold vivid gripping strange | slow confusing dry padded
    translation: smooth careful faithful natural | clumsy careless stiff rough
    *maps: clear detailed accurate handsome | tiny blurred wrong missing
    argument: clear bold careful fresh | thin confusing circular lazy""",
    """{name} wrote it while living in {place}
    it was first printed in {year}
    my {kin} gave it to me last {month}
    i read it on the train to {place}
    it has three hundred pages and twelve chapters
    our reading group met on {day} to discuss it""",
    """i gave up after the third chapter
    it is now holding up a leg of my kitchen table
    i skipped page after page to reach the end
    the author should have kept it in a drawer
    i left my copy on the train on purpose
    our reading group refused to finish it""",
    """i could not put it down
    i stayed awake until dawn to finish it
    i bought three more copies for my friends
    i turned back to page one as soon as i had finished
    it has not left my bedside table since
    i missed my station because of it""",
)

GADGET = make_domain(
    "phone laptop camera tablet console recorder player",
    """battery life: long steady solid generous | short weak meagre erratic
    screen: bright sharp large clear | dim blurred tiny scratched
    *buttons: large solid responsive clear | tiny loose sticky stiff
    manual: clear short helpful detailed | confusing long missing dense
    fan: quiet silent smooth steady | loud noisy rattling erratic
    casing: solid light sturdy sleek | flimsy heavy cheap loose
    software: quick smooth clear stable | slow buggy bloated confusing
    price: low fair modest small | high shocking unfair silly
    charger: quick small light sturdy | slow heavy hot flimsy
    sound: rich clear warm crisp | thin tinny harsh muffled""",
    """i bought it in {month} for my {kin}
    it comes in black and in grey
    i have used it every day since {day}
    the parcel arrived from {place} on {day}
    it replaced one that i had owned since {year}
    it weighs about as much as a loaf of bread""",
    """it died after a week
    i sent it back the same day
    it now lives in a box under the stairs
    smoke came out of it on the second morning
    the shop refused to take it back
    i went back to my old one""",
    """it has survived two falls and a rainstorm
    i bought a second one for my {kin}
    it started at once and has not stopped since
    all my colleagues have ordered one
    i no longer use anything else
    they will have to pry it from my hands""",
)

PRODUCTS = (FILM, BOOK, GADGET)
