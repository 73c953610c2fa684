"""The writer's vocabulary: tables of plain English wordings and the small grammar they need.

In every table the first wording is the canonical one. `{its}` stands for the owner ("its", "the dog's",
"the") and `{side}` for the object's own side ("left ", "right " or nothing). Leaves out sentence frames: see
writer.py.
"""

import re

PHOTO = ("photo", "picture", "image")

# Words that give away where something is in the photo or in the object; the semantic style uses none of them.
POSITION_WORDS = frozenset({
    "top", "upper", "middle", "lower", "bottom", "centre", "center", "central", "far", "above", "below",
    "under", "underneath", "over", "beside", "between", "topmost", "lowest", "leftmost", "rightmost",
    "halfway", "second", "third", "left-hand", "right-hand", "far-left", "far-right", "low", "high", "level",
    "way",
})  # fmt: skip

NUMBERS = ("no", "one", "two", "three", "four", "five", "six")

HOOFED = frozenset({
    "sheep", "horse", "cow", "antelope", "argali", "bison", "buffalo", "deer", "moose", "zebra", "giraffe",
    "pig", "goat", "elk", "alpaca", "donkey",
})  # fmt: skip

# Third of the photo: PLACES[row][column].
PLACES = (
    (
        (
            "in the upper left of the {photo}",
            "at the top left of the {photo}",
            "up in the left of the {photo}",
        ),
        (
            "at the top of the {photo}",
            "in the upper middle of the {photo}",
            "at the top centre of the {photo}",
        ),
        (
            "in the upper right of the {photo}",
            "at the top right of the {photo}",
            "up in the right of the {photo}",
        ),
    ),
    (
        ("on the left of the {photo}", "at the left of the {photo}", "on the left side of the {photo}"),
        ("in the centre of the {photo}", "in the middle of the {photo}", "in the center of the {photo}"),
        ("on the right of the {photo}", "at the right of the {photo}", "on the right side of the {photo}"),
    ),
    (
        (
            "in the lower left of the {photo}",
            "at the bottom left of the {photo}",
            "down in the left of the {photo}",
        ),
        (
            "at the bottom of the {photo}",
            "in the lower middle of the {photo}",
            "at the bottom centre of the {photo}",
        ),
        (
            "in the lower right of the {photo}",
            "at the bottom right of the {photo}",
            "down in the right of the {photo}",
        ),
    ),
)

# Fifth of the object's box, as nouns, adjectives and adverbs.
COLUMNS = ("far left", "left", "centre", "right", "far right")
COLUMN_ADJECTIVES = ("far-left", "left-hand", "central", "right-hand", "far-right")
COLUMN_ADVERBS = ("on the far left", "on the left", "in the centre", "on the right", "on the far right")
ROWS = ("top", "upper part", "middle", "lower part", "bottom")
ROW_ADJECTIVES = ("topmost", "upper", "middle", "lower", "lowest")
ROW_ADVERBS = ("at the top", "in the upper part", "halfway down", "in the lower part", "at the bottom")
CASUAL_COLUMNS = (
    "way over on the left",
    "on the left",
    "in the middle",
    "on the right",
    "way over on the right",
)
CASUAL_ROWS = ("right at the top", "fairly high", "halfway down", "fairly low", "right at the bottom")
# Words of the held-back styles: thirds of the photo, and fifths of the object's box.
HELD_FRAMES = ("of the frame", "of the shot")
HELD_PHOTO_COLUMNS = ("towards the left edge", "midway across", "towards the right edge")
HELD_PHOTO_ROWS = ("near the upper rim", "about midheight", "near the lower rim")
HELD_COLUMNS = (
    "at its left-hand end",
    "left of its middle",
    "at half its width",
    "right of its middle",
    "at its right-hand end",
)
HELD_ROWS = (
    "as high up as it goes",
    "above its middle",
    "at half its height",
    "beneath its middle",
    "as far down as it goes",
)
# Third of the object's box.
THIRD_COLUMNS = ("left", "centre", "right")
THIRD_ROWS = ("upper", "middle", "lower")

DIRECTION_PHRASES = {
    "above": ("above", "over"),
    "below": ("below", "under", "underneath"),
    "left": ("to the left of", "left of"),
    "right": ("to the right of", "right of"),
    "above left": ("above and left of", "to the upper left of"),
    "above right": ("above and right of", "to the upper right of"),
    "below left": ("below and left of", "to the lower left of"),
    "below right": ("below and right of", "to the lower right of"),
}

COLOUR_WORDS = {
    "grey": ("grey", "gray"),
    "dark grey": ("dark grey", "dark gray", "charcoal"),
    "light grey": ("light grey", "light gray", "pale grey"),
    "dark brown": ("dark brown", "deep brown"),
    "tan": ("tan", "light brown", "beige"),
    "cream": ("cream", "off-white", "cream-coloured"),
    "reddish brown": ("reddish brown", "chestnut", "ginger brown"),
    "black": ("black", "almost black"),
    "light blue": ("light blue", "pale blue"),
}
TEXTURE_WORDS = {
    "smooth": ("smooth", "plain", "even"),
    "lightly textured": ("lightly textured", "softly textured", "slightly uneven"),
    "textured": ("textured", "rough", "strongly textured"),
    "with a sharp edge": ("with a sharp edge", "with a hard edge", "with a clear edge"),
}

PART_WORDS = {
    "eye": ("{its} {side}eye",),
    "nose": ("{its} nose", "{its} muzzle", "{its} snout", "the tip of {its} nose"),
    "ear": ("{its} {side}ear",),
    "throat": ("{its} throat", "the front of {its} neck"),
    "withers": ("{its} withers", "the top of {its} shoulders"),
    "tailbase": ("the base of {its} tail", "the root of {its} tail", "the start of {its} tail"),
    "root of tail": ("the base of {its} tail", "the root of {its} tail", "the start of {its} tail"),
    "front elbow": ("{its} {side}front elbow", "the elbow of {its} {side}front leg", "{its} {side}elbow"),
    "back elbow": (
        "{its} {side}back elbow",
        "the thigh joint of {its} {side}back leg",
        "{its} {side}hind elbow",
    ),
    "front knee": ("{its} {side}front knee", "the knee of {its} {side}front leg"),
    "back knee": ("{its} {side}back knee", "the knee of {its} {side}hind leg", "{its} {side}hind knee"),
    "front paw": ("{its} {side}front paw", "{its} {side}front foot", "{its} {side}forepaw"),
    "back paw": ("{its} {side}back paw", "{its} {side}back foot", "{its} {side}hind paw"),
    "front hoof": ("{its} {side}front hoof", "{its} {side}front foot", "the hoof of {its} {side}front leg"),
    "back hoof": ("{its} {side}back hoof", "{its} {side}back foot", "{its} {side}hind hoof"),
    "wrist": ("{its} {side}wrist", "{its} {side}hand at the wrist"),
    "ankle": ("{its} {side}ankle", "{its} {side}foot at the ankle"),
}
PERSON_PART_WORDS = {"nose": ("{its} nose", "the tip of {its} nose")}
CASUAL_PART_WORDS = {
    "eye": ("{its} {side}eye", "{its} {side}peeper"),
    "nose": ("{its} snout", "{its} nose", "{its} schnoz"),
    "ear": ("{its} {side}ear",),
    "throat": ("{its} neck", "{its} throat", "the spot under {its} chin"),
    "withers": ("{its} shoulders", "the back of {its} neck", "{its} shoulder blades"),
    "tailbase": ("where {its} tail starts", "{its} tail end", "{its} rump"),
    "root of tail": ("where {its} tail starts", "{its} tail end", "{its} rump"),
    "back elbow": ("{its} {side}thigh", "the top joint of {its} {side}back leg"),
    "front knee": ("{its} {side}front knee", "the bend in {its} {side}front leg"),
    "back knee": ("{its} {side}back knee", "the bend in {its} {side}back leg"),
    "front paw": ("{its} {side}front paw", "{its} {side}front foot", "the toes of {its} {side}front leg"),
    "back paw": ("{its} {side}back paw", "{its} {side}back foot", "the toes of {its} {side}back leg"),
    "hip": ("{its} {side}hip", "{its} waist on the {side}side"),
    "wrist": ("{its} {side}wrist", "{its} {side}hand"),
    "ankle": ("{its} {side}ankle", "{its} {side}foot"),
}
# Words for parts that only the held-back styles use, beside the canonical ones.
HELD_PART_WORDS = {
    "eye": ("{its} {side}eyeball",),
    "nose": ("{its} nostrils", "the end of {its} face"),
    "ear": ("{its} {side}earflap", "the {side}lug of {its} head"),
    "throat": ("{its} gullet", "the underside of {its} neck"),
    "withers": ("the ridge between {its} shoulders", "the hump behind {its} neck"),
    "tailbase": ("where {its} tail is attached", "the hind end of {its} spine"),
    "root of tail": ("where {its} tail is attached", "the hind end of {its} spine"),
    "front elbow": ("the upper joint of {its} {side}foreleg", "{its} {side}foreleg where it meets the trunk"),
    "back elbow": ("the stifle of {its} {side}rear leg", "{its} {side}rear leg where it meets the trunk"),
    "front knee": ("the middle joint of {its} {side}foreleg", "{its} {side}carpus"),
    "back knee": ("the middle joint of {its} {side}rear leg", "{its} {side}hock joint"),
    "front paw": ("the end of {its} {side}foreleg", "{its} {side}fore extremity"),
    "back paw": ("the end of {its} {side}rear leg", "{its} {side}rear extremity"),
    "front hoof": ("the end of {its} {side}foreleg", "{its} {side}fore extremity"),
    "back hoof": ("the end of {its} {side}rear leg", "{its} {side}rear extremity"),
    "shoulder": ("the top of {its} {side}arm", "{its} {side}shoulder joint"),
    "elbow": ("the bend of {its} {side}arm", "{its} {side}funny bone"),
    "wrist": ("the far end of {its} {side}forearm", "{its} {side}pulse point"),
    "hip": ("the top of {its} {side}thigh", "{its} {side}hip joint"),
    "knee": ("the bend of {its} {side}leg", "{its} {side}kneecap"),
    "ankle": ("the far end of {its} {side}shin", "{its} {side}ankle bone"),
}
CASUAL_LABELS = {
    "dog": ("dog", "doggo", "pup", "puppy", "doggie"),
    "cat": ("cat", "kitty", "kitten", "pussycat"),
    "sheep": ("sheep", "woolly", "lamb"),
    "horse": ("horse", "horsey", "pony"),
    "cow": ("cow", "moo cow", "moo"),
    "person": ("person", "human", "individual"),
}
ARBITRARY_PART = ("a spot on {owner}", "somewhere on {owner}", "a point on {owner}")

IRREGULAR_PLURALS = {
    "sheep": "sheep", "deer": "deer", "moose": "moose", "bison": "bison", "buffalo": "buffalo", "elk": "elk",
    "person": "people", "wolf": "wolves", "fox": "foxes", "mouse": "mice", "rhinoceros": "rhinoceroses",
}  # fmt: skip


def plural(label: str) -> str:
    """Plural of a label, for example "dogs", "people", "polar bears"."""
    first, _, last = label.rpartition(" ")
    last = IRREGULAR_PLURALS.get(last) or last + "s"
    return f"{first} {last}" if first else last


def counted(n: int, nouns: str) -> str:
    """How many of a kind, for example "two dogs", "several dogs"."""
    return f"{NUMBERS[n] if n < len(NUMBERS) else 'several'} {nouns}"


def with_article(noun: str) -> str:
    """The noun with "a" or "an"."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def possessive(noun: str) -> str:
    """The owner form, for example "the dog's"."""
    return f"{noun}'" if noun.endswith("s") else f"{noun}'s"


def pronoun(label: str) -> str:
    """Possessive pronoun for a label: "their" for a person, else "its"."""
    return "their" if label == "person" else "its"


def object_pronoun(label: str) -> str:
    """Pronoun for a label after a preposition: "them" for a person, else "it"."""
    return "them" if label == "person" else "it"


def part_templates(part: str, label: str, casual: bool = False, held: bool = False) -> tuple[str, ...]:
    """Wordings of a part.

    Args:
        part: Keypoint name without its side, for example "front paw".
        label: Label of the object; hoofed animals have hooves.
        casual: Whether everyday words are wanted.
        held: Whether the words of the held-back styles are wanted, beside the canonical one.

    Returns:
        Templates with `{its}` and `{side}`, the canonical one first.
    """
    if label.rpartition(" ")[2] in HOOFED:
        part = part.replace("paw", "hoof")
    if held:
        return (part_templates(part, label)[0], *HELD_PART_WORDS.get(part, ()))
    if label == "person" and part in PERSON_PART_WORDS:
        return PERSON_PART_WORDS[part]
    if casual and part in CASUAL_PART_WORDS:
        return CASUAL_PART_WORDS[part]
    return PART_WORDS.get(part, (f"{{its}} {{side}}{part}",))


def has_position(text: str) -> bool:
    """Whether a text, sides of parts apart, says where something is."""
    return not POSITION_WORDS.isdisjoint(re.findall(r"[a-z]+(?:-[a-z]+)*", text.lower()))
