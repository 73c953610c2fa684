"""Vocabulary of the style "free": many everyday words for each label and place, and made-up detail.

`{c}` stands for left or right, `{p}` for the photo, `{o}` for the object, `{n}` for its noun, `{x}` for the point. Rows
of a table that differ in left and right alone are one row, so that a mirrored photo gets the mirrored text. Leaves out
parts (free_parts.py) and sentences (free.py).
"""

# Colloquial names, breeds, young and sexes. A breed is a guess; the label it stands for is not.
ANIMALS = {
    "dog": (
        "dog", "dog", "dog", "dog", "puppy", "pup", "doggy", "hound", "terrier", "labrador", "retriever", "poodle",
        "collie", "spaniel", "husky", "bulldog", "shepherd dog", "pug", "dachshund", "mutt", "beagle", "boxer dog",
        "pooch", "lab", "greyhound", "corgi", "doggie",
    ),
    "cat": (
        "cat", "cat", "cat", "cat", "kitten", "kitty", "tabby", "tabby cat", "tomcat", "pussycat", "siamese cat",
        "persian cat", "house cat", "moggy", "feline", "calico",
    ),
    "sheep": ("sheep", "sheep", "sheep", "sheep", "lamb", "ewe", "ram", "merino", "woolly sheep", "young sheep"),
    "horse": (
        "horse", "horse", "horse", "horse", "pony", "foal", "mare", "stallion", "colt", "racehorse", "shetland pony",
        "draft horse", "riding horse",
    ),
    "cow": (
        "cow", "cow", "cow", "cow", "calf", "bull", "heifer", "ox", "steer", "dairy cow", "highland cow", "holstein",
        "young cow", "jersey cow", "bullock",
    ),
}  # fmt: skip
ANY_ANIMAL = ("animal", "creature", "beast", "animal", "critter")
PEOPLE = (
    ("person", "their"), ("person", "their"), ("man", "his"), ("man", "his"), ("woman", "her"), ("woman", "her"),
    ("guy", "his"), ("lady", "her"), ("boy", "his"), ("girl", "her"), ("kid", "their"), ("child", "their"),
    ("gentleman", "his"), ("fellow", "his"), ("player", "their"), ("rider", "their"), ("human", "their"),
    ("teenager", "their"), ("adult", "their"), ("dude", "his"), ("surfer", "their"), ("skater", "their"),
)  # fmt: skip
PLURALS = {
    "calf": "calves", "foal": "foals", "man": "men", "woman": "women", "gentleman": "gentlemen", "child": "children",
    "lady": "ladies", "puppy": "puppies", "pony": "ponies", "doggy": "doggies", "kitty": "kitties", "ox": "oxen",
    "tabby": "tabbies", "shetland pony": "shetland ponies", "husky": "huskies", "moggy": "moggies", 
    
}  # fmt: skip

# Colours of the object, by the words of object_look.py: the plain word first. Shades that cameras and people name
# differently share words.
COATS = {
    "black": ("black", "black", "black", "black", "black", "dark", "dark", "jet-black"),
    "grey": ("grey", "gray", "grey", "silver", "greyish"),
    "white": ("white", "white", "white", "white", "whitish", "cream", "off-white", "pale", "light-coloured"),
    "dark brown": ("dark brown", "dark brown", "brown", "brown", "dark", "chocolate brown"),
    "brown": ("brown", "brown", "brown", "reddish brown", "reddish", "brownish"),
    "tan": ("tan", "light brown", "beige", "light brown", "sandy", "golden", "fawn", "blond"),
    "orange": ("orange", "ginger", "ginger", "reddish", "orange-brown"),
}  # fmt: skip
COATS_OF = {
    "horse": {"brown": ("chestnut", "chestnut", "bay"), "dark brown": ("bay", "dark bay"), "tan": ("palomino", "dun")},
    "cow": {"brown": ("chestnut", "red-brown")},
    "dog": {"brown": ("chestnut", "rust-coloured"), "tan": ("yellow", "ginger")},
    "cat": {"brown": ("ginger",), "tan": ("ginger", "ginger", "orange")},
}
CLOTHES = {
    "black": ("black", "black", "dark"),
    "grey": ("grey", "gray", "grey"),
    "white": ("white", "white", "white", "light-coloured", "cream", "off-white"),
    "brown": ("brown", "brown", "brownish"),
    "tan": ("beige", "tan", "light brown", "sand-coloured"),
    "red": ("red", "red", "bright red"),
    "pink": ("pink", "pink", "light pink", "rosy"),
    "orange": ("orange", "orange", "bright orange"),
    "yellow": ("yellow", "yellow", "bright yellow"),
    "green": ("green", "green", "greenish"),
    "blue": ("blue", "blue", "bluish"),
    "purple": ("purple", "violet", "purple"),
}
ADJECTIVE, ONE, ONE_OF_ALL = "{c} ...", "the {c} one", "the {c} one of all"
COAT_COLOURS = (
    ADJECTIVE, ADJECTIVE, ADJECTIVE, ADJECTIVE, ADJECTIVE, ADJECTIVE, ADJECTIVE, ADJECTIVE, ADJECTIVE, ADJECTIVE,
    "with the {c} fur", "with {c} fur", "with the {c} coat", "with a {c} coat", "that is {c}", "whose coat is {c}",
    "with {c} hair",
)  # fmt: skip
WORN_COLOURS = (
    "in {c}", "in {c}", "dressed in {c}", "wearing {c}", "in the {g}", "in the {g}", "in {a}", "in {a}", "wearing {a}",
    "with the {g}", "wearing the {g}", "in {c} clothes", "who wears {a}",
)  # fmt: skip
ONES_COLOURS = (ONE, ONE, ONE, ONE, ONE, ONE_OF_ALL, ONE_OF_ALL, ONE_OF_ALL)
"""Of one of several: "the white one", "the white one of the two dogs"."""

# Made up: nothing below is known about the photo, and nothing says where the point is.
ANIMAL_ADJECTIVES = (
    "fluffy", "young", "old", "little", "shaggy", "short-haired", "long-haired", "sleepy", "cute",
    "dirty", "curly", "friendly", "skinny", "chubby", "lazy", "funny", "furry", "scruffy", "hairy", "tired",
    "sweet", "calm", "pretty", "alert", "tame",
)  # fmt: skip
PATTERNS = ("spotted", "striped", "patchy", "spotted", "mottled")
"""Adjectives too, but not beside a true colour."""
PERSON_ADJECTIVES = (
    "young", "old", "tall", "blond", "dark-haired", "smiling", "bearded", "bald", "elderly", "slim", "happy",
    "little", "laughing", "middle-aged", "sporty", "serious", "red-haired",
)  # fmt: skip
HUES = (
    "red", "blue", "white", "black", "green", "yellow", "grey", "pink", "dark", "striped", "brown", "orange", "checked",
    "light blue", "purple", "plain", "colourful",
)  # fmt: skip
GARMENTS = ("shirt", "jacket", "coat", "dress", "sweater", "t-shirt", "jersey", "suit", "hoodie", "vest", "uniform")
WORN = (
    "in the {garment}", "wearing a {garment}", "with the {garment}", "wearing {hue} trousers", "in jeans",
    "with the hat", "with the {hue} cap", "with the {hue} hat", "in warm clothes",
    "wearing glasses", "with the sunglasses", "with the backpack", "with the helmet", "in shorts", "with long hair",
    "with the ponytail", "with the beard", "wearing a {hue} scarf", "in {hue} shoes", "with the {hue} bag",
)  # fmt: skip
BORNE = (
    "with the collar", "with the {hue} collar", "with a harness", "on the leash", "with the spots",
    "with the {hue} tag",
    "with the tongue out", "with the {hue} ribbon", "with the long fur", "with the bell",
    "that has just been shorn", "with the saddle", "that looks a bit wet", "with the halter", "with the {hue} blanket",
)  # fmt: skip
ANIMAL_POSES = (
    "lying on the couch", "lying down", "standing in the grass", "that is walking towards the camera", "looking up",
    "sitting on the floor", "that is asleep", "sleeping", "looking at the camera", "looking away", "running",
    "that is running", "standing still", "eating grass", "that is eating", "sniffing something", "jumping",
    "resting", "curled up", "sitting", "that is sitting up", "standing there", "being petted", "playing with a ball",
    "grazing", "walking away", "lying in the sun", "rolling around", "drinking water", "yawning", "turning round",
)  # fmt: skip
PERSON_POSES = (
    "standing", "sitting", "sitting on the bench", "looking at the camera", "looking away", "walking", "running",
    "that is smiling", "holding a phone", "holding a cup", "holding the racket", "riding a bike", "on the skateboard",
    "with the surfboard", "eating something", "talking to someone", "jumping", "catching the ball", "lying down",
    "leaning on the wall", "who is laughing", "who is standing up", "bending down", "who is playing",
    "on the motorbike",
    "kneeling", "holding the umbrella", "throwing the frisbee", "reading a book", "posing for the photo",
)  # fmt: skip
PLACES_NEARBY = (
    "by the fence", "next to the fence", "in front of the barn", "next to the other one", "behind the person",
    "in front of the wall", "near the tree", "by the water", "next to the man", "next to the woman", "behind the bush",
    "near the car", "by the window", "on the grass", "on the road", "in the field", "in the snow", "on the beach",
    "next to the table", "in the yard", "behind the chair", "on the blanket", "near the house", "in the stable",
    "close to the cow", "next to a dog", "behind the cat", "near the horse", "with the others", "in front of the sheep",
    "by the road", "in the garden", "in the kitchen", "on the sofa", "next to the bowl", "near the door", "on the rug",
    "in front of the crowd", "by the pool", "near the bench", "in the shade", "on the bed", "at the zoo",
)  # fmt: skip

ANYWHERE = (
    "a spot on {owner}", "somewhere on {owner}", "a point on {owner}", "a place on {owner}", "part of {owner}",
    "this bit of {owner}", "some place on {owner}", "a random spot on {owner}",
)  # fmt: skip

# Made up as well: which of two parts, without saying which.
WHICHEVER = (
    "", "", "", "", "", "", "", "visible ", "other ", "nearer ", "hidden ", "nearest ", "farther ", "near ", "raised ",
)  # fmt: skip

# A side as the viewer sees it: (what goes into `{s}`, what is added behind the part).
VIEW_SIDES = (
    ("{c}-hand ", ""), ("{c}-hand ", " in the {p}"), ("{c} ", " as we see it"), ("{c} ", " in the {p}"),
    ("", ", the one on the {c}"), ("", ", the one further to the {c}"), ("", ", the {c}-hand one"),
    ("{c} ", ", as we look at it"), ("", ", the {c} one in the {p}"), ("", " on the {c} as we look at it"),
    ("{c} ", ""), ("{c} ", ""), ("", ", the one on my {c}"), ("", ", to the viewer's {c}"), ("{c} ", " as I see it"),
    ("{c} ", ", viewed from here"), ("", ", the one more to the {c}"), ("", ", the one that we see on the {c}"),
    ("", ", the {c} one as seen by us"), ("{c}-hand ", " as you look at the {p}"), ("", ", on our {c}"),
)  # fmt: skip
VIEW_HEIGHTS = {
    "upper": (
        ("upper ", ""), ("upper ", " in the {p}"), ("", ", the upper one"), ("", ", the higher one"),
        ("", ", the upper of the two"), ("", ", the one further up"), ("", ", the one that is higher up in the {p}"),
    ),
    "lower": (
        ("lower ", ""), ("lower ", " in the {p}"), ("", ", the lower one"), ("", ", the one that is lower"),
        ("", ", the lower of the two"), ("", ", the one further down"), ("", ", the one that is lower down in the {p}"),
    ),
}  # fmt: skip
BOTH_SIDES = (", seen by us on the {c}", ", which is on the {c} in the {p}", " (on the {c} for us)", ", {c} in the {p}")
OWN_SIDES = ("", "", "", "", "", "", " (its own {c})", ", its own {c} that is", ", so on the {c} of the body")

# Which of several: (noun phrase without article, what follows).
WHICH_SIDES = (
    ("{c} {n}", ""), ("{c}-hand {n}", ""), ("{n}", "on the {c}"), ("{n}", "furthest to the {c}"),
    ("{n}", "on the {c}-hand side"), ("{n}", "on the very {c}"), ("{n}", "all the way on the {c}"),
)  # fmt: skip
WHICH_SECOND = (("{o} {n} from the {c}", ""), ("{n}", "that is {o} from the {c}"), ("{n}", "in {o} place from the {c}"))
WHICH = {
    "upper": (
        ("upper {n}", ""),
        ("{n}", "further up"),
        ("{n}", "higher up"),
        ("higher {n}", ""),
        ("{n}", "at the top"),
    ),
    "lower": (("lower {n}", ""), ("{n}", "further down"), ("{n}", "lower down"), ("{n}", "at the bottom")),
    "middle": (("middle {n}", ""), ("{n}", "in the middle"), ("{n}", "between the others"), ("central {n}", "")),
    "larger": (("bigger {n}", ""), ("larger {n}", ""), ("{n}", "that looks bigger"), ("larger of the two {ns}", "")),
    "smaller": (("smaller {n}", ""), ("{n}", "that looks smaller"), ("smaller of the two {ns}", "")),
    "largest": (("biggest {n}", ""), ("largest {n}", ""), ("{n}", "that looks biggest"), ("largest of the {ns}", "")),
    "smallest": (("smallest {n}", ""), ("{n}", "that looks smallest"), ("smallest of the {ns}", "")),
}

PHOTO = ("picture", "photo", "image", "pic", "picture", "photo")
SIDES = ("left", "", "right")
# Thirds of the photo, one axis.
PHOTO_SIDES = (
    "on the {c} of the {p}", "towards the {c} border of the {p}", "close to the {c} edge of the {p}", "on the {c}",
    "on the {c} side of the {p}", "in the {c} third of the {p}", "over on the {c}", "on the {c} side", "to the {c}",
    "in the {c} part of the {p}", "near the {c} edge", "towards the {c}", "in the {c} half of the {p}",
)  # fmt: skip
PHOTO_CENTRE = (
    "halfway across the {p}", "in the {p}'s central third from side to side", "midway between the sides of the {p}",
    "horizontally in the middle", "about the middle of the width of the {p}",
)  # fmt: skip
PHOTO_ROWS = (
    (
        "near the top edge of the {p}", "high up in the {p}", "close to the top of the {p}", "towards the top",
        "in the top part of the {p}", "at the top of the {p}", "high in the {p}", "near the top", "up at the top",
        "in the upper part of the {p}", "in the upper third of the {p}",
    ),
    (
        "at mid-height in the {p}", "halfway down the {p}", "about halfway up the {p}", "vertically in the middle",
        "at medium height in the {p}",
    ),
    (
        "near the bottom edge of the {p}", "low in the {p}", "close to the bottom of the {p}", "towards the bottom",
        "in the bottom part of the {p}", "at the bottom of the {p}", "low down in the {p}", "near the bottom",
        "down at the bottom", "in the lower part of the {p}", "in the lower third of the {p}",
    ),
)  # fmt: skip
# Both axes: `{r}` is top or bottom, `{u}` upper or lower.
PHOTO_CORNERS = (
    "in the {r} {c} corner of the {p}", "towards the {r} {c} corner", "in the {u} {c} of the {p}", "{r} {c}",
    "at the {r} {c} of the {p}", "{r} {c} of the {p}", "near the {r} {c}", "in the {u} {c} part of the {p}",
)  # fmt: skip
PHOTO_ENDS = (
    "in the {r} middle of the {p}", "{r} centre of the {p}", "in the {u} middle", "at the {r} of the {p} in the centre",
)  # fmt: skip
PHOTO_MIDDLE_SIDES = (
    "on the {c} of the {p}, halfway up", "middle {c} of the {p}", "on the {c} at mid-height", "{c} side, halfway down",
)  # fmt: skip
PHOTO_MIDDLE = (
    "in the middle of the {p}", "in the centre of the {p}", "near the centre of the {p}", "pretty central in the {p}",
    "about the middle of the {p}", "in the very middle of the {p}", "in the center of the {p}",
)  # fmt: skip

# Fifths and thirds of the object's box.
FIFTH_ENDS = (
    "at the far {c} of {o}", "at the very {c} end of {o}", "at the extreme {c} of {o}", "as far {c} as {o} goes",
)  # fmt: skip
FIFTH_BESIDES = (
    "a bit {c} of the centre of {o}", "slightly to the {c} of the middle of {o}", "just {c} of the centre of {o}",
)  # fmt: skip
FIFTH_CENTRE = ("halfway along {o}", "about halfway across {o}", "midway along {o}")
FIFTH_ROWS = (
    ("at the very top of {o}", "at the topmost bit of {o}", "at the highest point of {o}"),
    ("fairly high up on {o}", "a bit above the middle of {o}", "rather high on {o}"),
    ("halfway up {o}", "about halfway down {o}", "at half the height of {o}"),
    ("fairly low on {o}", "a bit below the middle of {o}", "rather low on {o}"),
    ("at the very bottom of {o}", "at the lowest bit of {o}", "at the lowest point of {o}"),
)
THIRD_SIDES = (
    "on the {c} part of {o}", "in the {c} third of {o}", "towards the {c} end of {o}", "on the {c} half of {o}",
    "on the {c} side of {o}",
)  # fmt: skip
THIRD_CENTRE = ("in the middle third across {o}", "in the mid part along {o}", "not near either end of {o}")
THIRD_ROWS = (
    ("in the upper part of {o}", "in the upper half of {o}", "high on {o}", "up on {o}"),
    ("at mid-height on {o}", "neither high nor low on {o}", "at medium height on {o}"),
    ("in the lower part of {o}", "in the lower half of {o}", "low on {o}", "low down on {o}"),
)
THIRD_CORNERS = ("in the {u} {c} part of {o}", "at the {r} {c} of {o}", "on the {u} {c} of {o}")
THIRD_ENDS = ("in the {u} middle of {o}", "at the {r} centre of {o}")
THIRD_MIDDLE_SIDES = ("on the {c} of {o} at mid-height", "on the middle {c} of {o}")
THIRD_MIDDLE = ("in the middle of {o}", "at the centre of {o}", "around the middle of {o}")

AFTERTHOUGHTS = (
    ", I think",
    ", barely visible",
    ", half hidden",
    ", or so",
    ", more or less",
    ", I guess",
    ", roughly",
)
SPOT_COLOURS = ("where it is {colours}", "the {colours} bit", "it's {colours} there", "on the {colours} patch")

GROUNDS = (
    "grass", "wall", "floor", "ground", "sky", "sand", "road", "snow", "field", "dirt", "water", "carpet", "pavement",
    "background", "meadow", "gravel", "backdrop",
)  # fmt: skip
BACKGROUNDS = (
    "the empty {g}", "the bare {g}", "the {g}", "the plain {g}", "a spot on the {g}", "somewhere on the {g}",
    "an empty bit of {g}", "the {g} behind everything", "some of the {g}", "the {g} where nothing is", "the {g}",
)  # fmt: skip
NO_OBJECT = (
    "nothing there, just the {g}", "no animal or person, only the {g}", "just the {g}", "nothing but {g}",
    "not on anything, only the {g}",
)  # fmt: skip
BESIDE = ("close to", "just beside", "next to")

QUESTIONS = (
    "where is {x}?", "where's {x}?", "can you find {x}?", "could you point to {x}?", "can you show me {x}?",
    "do you see {x}?", "where do I find {x}?", "where would you see {x}?", "can you mark {x}?", "see {x}?",
    "could you click on {x}?", "any idea where I find {x}?",
)  # fmt: skip
COMMANDS = (
    "point at {x}", "point to {x}", "mark {x}", "show me {x}", "find {x}", "click on {x}", "put a dot on {x}",
    "put the marker on {x}", "look for {x}", "locate {x}", "please mark {x}", "give me {x}", "tap {x}", "select {x}",
    "{x}, please", "try to find {x}", "set the point on {x}", "touch {x}", "highlight {x}",
)  # fmt: skip
STATEMENTS = (
    "I mean {x}", "it's {x}", "I'm looking for {x}", "this is {x}", "that's {x}", "the point is on {x}",
    "I am thinking of {x}", "I want {x}", "what I want is {x}", "it is {x}", "that would be {x}", "look at {x}",
    "{x}, that's what I mean", "you can see {x}", "we are after {x}", "the thing I mean is {x}",
    "I was asking about {x}",
)  # fmt: skip
OWNER_FIRST = (
    "{owner}, {part}", "{owner}: {part}", "{owner} - {part}", "{owner}; {part}", "take {owner}: {part}",
    "on {owner}, {part}", "see {owner}? {part}", "of {owner}, {part}", "look at {owner}, {part}",
    "there is {owner}, I mean {part}",
)  # fmt: skip
