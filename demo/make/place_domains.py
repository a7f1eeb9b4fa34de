"""Word tables for reviews of places and events that one goes to: hotels, lectures, concerts, museums."""

from demo.make.domain import make_domain

RESTAURANT = make_domain(
    "restaurant bistro cafe diner pizzeria tavern canteen",
    """soup: hot rich hearty fragrant | cold salty watery thin bland
    beer: cold fresh crisp cheap | warm flat sour stale
    *portions: huge generous hearty large | tiny small meagre stingy
    bill: small fair low modest | huge shocking high unfair
    staff: attentive warm quick friendly cheerful | rude slow cold careless sloppy
    bread: warm fresh crusty soft | hard stale dry cold
    *vegetables: crisp fresh tender bright | soft limp soggy tired
    dessert: light rich delicate sweet | heavy soggy sickly dry
    kitchen: clean quick careful bold | dirty slow careless lazy
    steak: tender juicy rare smoky | tough burnt dry grey""",
    """we had dinner there on {day}
    it opened in {month} next to the town hall
    {name} runs the place with my {kin}
    we sat by the window and ordered the fish
    they serve lunch from noon until three
    my {kin} booked a table for six""",
    """my {kin} was ill for two days afterwards
    we left most of it on our plates
    we found a hair in the salad
    we went home hungry and made toast
    the waiter forgot us for an hour
    even the dog would not touch the leftovers""",
    """we wiped our plates with the last crumbs of bread
    i asked the chef for the recipe
    we booked again before we had left the table
    my {kin} ordered a second helping of everything
    i still dream of that sauce
    we tipped twice what we usually do""",
)

HOTEL = make_domain(
    "hotel hostel inn resort guesthouse lodge campsite",
    """room: quiet spacious bright clean large | noisy cramped dark dirty small
    bed: soft large comfortable clean | hard narrow lumpy creaky small
    *towels: thick soft clean fresh | thin rough grey damp
    shower: hot powerful clean modern | cold weak mouldy broken
    view: wide peaceful open bright | grim blocked grey ugly
    reception: quick warm helpful friendly | slow rude chaotic cold
    breakfast: generous varied fresh hot | meagre stale cold greasy
    lift: quick modern quiet spacious | broken slow noisy cramped
    *walls: thick clean solid bright | thin stained damp bare
    pool: clean warm large quiet | dirty cold tiny crowded""",
    """we stayed for three nights in {month}
    it stands on the road from {place} to the coast
    we arrived late on {day}
    there are forty rooms on four floors
    {name} has owned it since {year}
    my {kin} chose it from a list""",
    """we checked out a day early
    i slept in the car instead
    we shared the bathroom with a family of beetles
    the alarm woke us three times a night
    it took a week to wash the smell out of my clothes
    they charged us for a lamp we never touched""",
    """we added two more nights
    i slept like a child until ten
    they remembered our names the next morning
    my {kin} did not want to go home
    we have already reserved the same room for next {month}
    they carried our bags up without being asked""",
)

LECTURE = make_domain(
    "lecture course seminar workshop talk tutorial class",
    """teacher: patient clear lively warm | impatient monotonous dry cold
    *slides: clear short crisp helpful | crowded dense outdated blurred
    pace: steady brisk gentle fair | slow frantic erratic exhausting
    *examples: fresh vivid concrete helpful | stale abstract missing trivial
    *exercises: varied clear useful fair | repetitive trivial confusing endless
    topic: timely fresh broad useful | dry narrow outdated trivial
    introduction: short clear lively bold | long dry confusing padded
    discussion: lively open sharp friendly | chaotic stiff heated pointless
    handout: detailed clear short accurate | wrong dense outdated missing""",
    """it took place in the old library on {day}
    {name} has taught it since {year}
    about thirty people attended
    it lasts from nine until noon
    i signed up with my {kin} in {month}
    the speaker came from {place}""",
    """i counted the tiles on the ceiling
    half of the room was asleep by noon
    i learned nothing that i did not know before
    i asked for my fee back
    the back row played cards
    nobody came back after the break""",
    """i filled a whole notebook
    i finally understand the subject
    we kept asking questions long after the bell
    i changed my major because of it
    nobody looked at a phone for two hours
    people stood along the walls to hear it""",
)

CONCERT = make_domain(
    "concert opera musical festival recital ballet gig",
    """singer: powerful warm bold lively | hoarse flat tired weak
    sound: rich clear warm full | harsh muddy thin loud
    *songs: fresh haunting lively rich | stale repetitive endless limp
    crowd: cheerful friendly lively warm | rude rowdy bored cold
    queue: short orderly quick calm | long chaotic slow endless
    hall: airy warm grand elegant | cold stuffy cramped dark
    *costumes: elegant bold bright rich | cheap dusty ugly torn
    *seats: soft wide cheap comfortable | hard narrow broken sticky
    orchestra: precise lively bold powerful | sloppy timid tired sluggish""",
    """it began at eight in the main square
    the band came all the way from {place}
    {name} played the cello
    my {kin} had two spare tickets for {day}
    it was their first tour since {year}
    it rained for most of {month}""",
    """people booed before the first interval
    my ears rang for the rest of the week
    we heard every cough but not the tune
    the organisers owe us a refund
    we left while the band was still playing
    i wished that i had stayed at home""",
    """we sang all the way home
    the crowd called them back four times
    i had tears in my eyes from the first note
    everybody was dancing by the third song
    we did not want the night to end
    i would travel across the country to hear them again""",
)

MUSEUM = make_domain(
    "museum gallery exhibition castle aquarium zoo garden",
    """guide: patient lively funny helpful | bored rude monotonous hasty
    *rooms: bright airy spacious calm | crowded dark stuffy chaotic
    *labels: clear short detailed accurate | tiny wrong missing confusing
    collection: rich varied broad unique | thin narrow random dusty
    shop: cheap varied cheerful tidy | pricey tacky crowded shabby
    audio tour: lively clear short funny | endless dull tinny broken
    layout: logical open clear inventive | confusing cramped random chaotic
    entrance fee: low fair modest small | high shocking unfair steep
    *signs: clear large helpful bright | missing faded confusing tiny""",
    """we went there on the first {day} of {month}
    it was built in {year} by a merchant from {place}
    {name} gave the paintings to the city
    it closes at six in winter
    i visited with my {kin}
    the tram stops right outside""",
    """we saw all of it in ten minutes
    the children begged to go home
    most of the rooms were closed without notice
    the lions had more sense and stayed inside
    we spent more time in the car park
    a poster would have told us as much""",
    """the children begged to stay
    we stayed until the guards turned off the lights
    i bought a pass for the whole year
    i sat in front of one painting for an hour
    we have been back three times since
    we ran out of room for photographs""",
)

PLACES = (RESTAURANT, HOTEL, LECTURE, CONCERT, MUSEUM)
