"""A text in our own dialect -> typed claims, by rule. Leaves out judging (checking.py) and words (vocabulary.json).

Each reader takes the phrases it knows out of the text, longest first, and notes their claims; whatever is left and is
no filler makes the text unread. Texts of other describers and typed texts go to a judge instead (questions.py).
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache, partial

from talkingpoints.evaluation.truth.claims import BACKGROUND, TYPES, UNKNOWN, Claim, Parsed, Range
from talkingpoints.evaluation.truth.vocabulary import Vocabulary, vocabulary

SLOTS = (
    "kind", "order", "size", "tell", "count", "part", "own", "view", "near", "touching", "photo", "extent", "object",
    "within", "colour", "texture", "thing colour", "posture", "facing",
)  # fmt: skip
"""The order of claims of one type, whatever the order of speech."""
CUT = " | "
"""What stands in the text where a phrase was taken out, so that its neighbours do not join."""
_SIDE = r"(?:(?:left|right) )?"
_ORDINAL = r"(?:second|third) from the (?:left|right|top|bottom|upper|lower)"


def parse(text: str, words: Vocabulary | None = None) -> Parsed:
    """Read a description.

    Args:
        text: One description, of a point on a thing or on the background.
        words: The vocabulary; None takes the project's own.

    Returns:
        The claims, and the words that were not understood.
    """
    return _parser(words or vocabulary()).parse(text)


@lru_cache(maxsize=4)
def _parser(words: Vocabulary) -> "_Parser":
    return _Parser(words)


def _any(words: Iterable[str]) -> str:
    """A group of alternatives, longest first."""
    return "(?:" + "|".join(re.escape(word) for word in sorted(set(words), key=lambda w: (-len(w), w))) + ")"


class _Reading:
    """A text that is being read: what is left of it, and the claims so far."""

    def __init__(self, text: str) -> None:
        self.left = text
        self.claims: list[Claim] = []

    def take(self, pattern: re.Pattern[str], claims: Callable[[re.Match[str]], list[Claim]]) -> bool:
        """Take every match out of the text."""
        taken = False
        while match := pattern.search(self.left):
            self.claims += claims(match)
            self.left = self.left[: match.start()] + CUT + self.left[match.end() :]
            taken = True
        return taken


class _Parser:
    """The readers of one vocabulary, compiled."""

    def __init__(self, words: Vocabulary) -> None:
        self.words = words
        places, content = words.content["places"], words.content
        said = content["sentences"]
        kind, count = _any(words.kind_words), _any(content["counts"])
        which = _any(content["which"])
        part = self._part_pattern()
        atom = _any([*places["columns"], *places["rows"], *places["middles"]])
        photo = _any(places["photo"])
        told = _any([*content["which"], *(w for entry in content["colours"].values() for w in entry["words"])])
        order = rf"(?P<w>{_ORDINAL}|{told}|lying|standing)"
        self.background = self._phrases(content["background"]["words"])
        self.unknown = self._phrases(content["unknown"]["words"])
        shade = _any(word for entry in content["colours"].values() for word in entry["words"])
        shades = rf"(?P<c>{shade})(?: and (?P<d>{shade}))?"
        self.coloured = re.compile(rf"\b(?P<a>the|a|an) (?:{shades}) (?P<n>{kind}(?:'s?)?)(?![\w-])")
        self.owner = re.compile(rf"\bthe (?:(?P<w>{which}) )?(?P<k>{kind})(?:'s\b|'(?= )|s(?='))")
        self.counted = [
            re.compile(rf"\bof (?P<n>{count}) (?P<k>{kind}), the {order}(?: one)?\b"),
            re.compile(rf"\bthe {order}(?: one)? of (?P<n>{count}) (?P<k>{kind})\b"),
            re.compile(rf"\b(?P<w>one) of (?P<n>{count}) (?P<k>{kind})\b"),
        ]
        self.ordered = re.compile(
            rf"\b(?:of )?the (?P<o>second|third) (?P<k>{kind}) from the (?P<e>left|right|top|bottom|upper|lower)\b"
        )
        self.selected = re.compile(rf"\b(?:of )?the (?P<w>{which}) (?P<k>{kind})\b")
        self.plain = re.compile(rf"\b(?:of )?(?:a|an|the|one|that|this|some) (?P<k>{kind})\b")
        direction = _any(word for phrases in content["directions"].values() for word in phrases)
        self.directions = {word: name for name, phrases in content["directions"].items() for word in phrases}
        self.near_part = re.compile(rf"(?<!spot )\b(?:just )?(?P<d>{direction}|at) (?P<a>{part})(?!\w)")
        self.between = re.compile(rf"\bbetween (?P<a>{part}) and (?P<b>{part})(?!\w)")
        self.near_kind = re.compile(
            rf"\b(?:just )?(?P<d>{direction}) the (?P<k>{kind})"
            rf"(?:, (?P<axis>level|in line) with its (?P<p>{atom}))?(?!\w)"
        )
        self.around = re.compile(rf"\bright beside the (?P<k>{kind})(?:, by its (?P<p>{atom}(?:, {atom})?))?(?!\w)")
        self.part = re.compile(rf"(?<!\w){part}(?!\w)")
        self.asides = [
            (self._template(templates), type_, slot)
            for type_, slot, templates in (
                ("", "", [*said["not_other"], *said["not_view"]]),
                ("place", "extent", [*said["fills"], *said["small"]]),
                ("side", "view", [*said["view_sides"], *said["view_heights"]["upper"], *said["view_heights"]["lower"]]),
                ("side", "view", [*said["piece_views"], "the {view} from the {view}"]),
                ("look", "posture", [*said["posture"]["lying"], *said["posture"]["standing"]]),
                ("look", "facing", said["facing"]),
                ("place", "within", [phrase for cell in said["within"] for phrase in cell]),
            )
        ]
        self.touching = re.compile(rf"\b(?:which touches|that is at|close to) (?P<a>{part})(?!\w)")
        lead = r"(?:(?:up |down )?(?:in the|at the|on the|towards the|in|at|on|the) )??"
        group = rf"{atom}(?:(?: and | ){atom})*"
        self.in_photo = re.compile(rf"(?<![\w-]){lead}(?P<g>{group})(?: part)? of the {photo}(?!\w)")
        glue = r"(?:,? and |, ?(?:(?:in|at|on) the |the |on |at |in )?| )"
        group = rf"(?:{atom}(?:{glue}{atom})*)"
        tail = rf"(?: part| bit| side)?(?: (?:of|on) the (?P<k>{kind}))?"
        second = rf"(?P<more>,? (?:in the |at the |on the |on |at )?{group})?"
        self.in_object = re.compile(rf"(?<![\w-]){lead}(?P<g>{group}){tail}{second}(?![\w-])")
        colour = _any(word for entry in content["colours"].values() for word in entry["words"])
        texture = _any(word for entry in content["textures"].values() for word in entry["words"])
        self.colours = {w: c for c, entry in content["colours"].items() for w in entry["words"]}
        self.textures = {w: t for t, entry in content["textures"].items() for w in entry["words"]}
        self.colour = re.compile(rf"(?<![\w-])(?P<a>{colour})(?: and (?P<b>{colour}))?(?![\w-])")
        self.texture = re.compile(rf"(?<![\w-])(?P<t>{texture})(?![\w-])")
        self.filler = self._phrases(content["fillers"]["phrases"])
        self.atom = re.compile(rf"(?<![\w-]){atom}(?![\w-])")

    def _part_pattern(self) -> str:
        """One group for all templates of all parts."""
        templates = {
            template for entry in self.words.parts.values() for group in entry["words"].values() for template in group
        }
        atoms = {*self.words.content["places"]["rows"], *self.words.content["places"]["columns"]}
        patterns = [
            ("(?<!at )" if template.rpartition(" ")[2] in atoms else "")  # a top is worn, "at the top" is a place
            + re.escape(template).replace(r"\{its\}\ \{side\}", rf"(?:its|the|one of its) {_SIDE}")
            .replace(r"\{its\}", "(?:its|the)").replace(r"\{side\}", _SIDE).replace("\\ ", " ")
            for template in sorted(templates, key=lambda t: (-len(t), t))
        ]  # fmt: skip
        return "(?:" + "|".join(patterns) + ")"

    def _template(self, templates: Iterable[str]) -> re.Pattern[str]:
        """Phrases in which {view} and {other} are a side and {photo} the photo."""
        side = "(?:left|right|upper|lower|middle|second|third)"
        words = {"view": side, "other": side, "photo": _any(self.words.content["places"]["photo"])}
        patterns = sorted((re.escape(t).replace(r"\{", "{").replace(r"\}", "}") for t in templates), key=len)
        return re.compile(rf"(?<![\w-])(?:{'|'.join(p.format(**words) for p in reversed(patterns))})(?= *(?:[,|]|$))")

    @staticmethod
    def _phrases(phrases: Iterable[str]) -> re.Pattern[str]:
        return re.compile(rf"(?<![\w'-]){_any(phrases)}(?![\w'-])")

    def parse(self, text: str) -> Parsed:
        """See :func:`parse`."""
        reading = _Reading(_plain(text))
        background = reading.take(self.background, lambda m: [Claim("object", "kind", (BACKGROUND,), m[0])])
        reading.take(self.unknown, lambda m: [Claim("object", "kind", (UNKNOWN,), m[0])])
        if background:
            reading.take(self.around, self._beside)
            reading.take(self.near_kind, self._from_kind)
        self._shades(reading)
        self._owners(reading)
        for pattern in self.counted:
            reading.take(pattern, self._counted)
        reading.take(self.ordered, lambda m: self._objects(m["k"], f"{m['o']} {m['e']}", m[0]))
        reading.take(self.in_photo, self._in_photo)
        for pattern, type_, slot in self.asides:
            reading.take(pattern, partial(self._aside, type_, slot))
        reading.take(self.touching, lambda m: [self._near("touching", m[0], (m["a"],))])
        reading.take(self.between, lambda m: [self._near("between", m[0], (m["a"], m["b"]))])
        reading.take(self.near_part, lambda m: [self._near(self.directions.get(m["d"], "at"), m[0], (m["a"],))])
        reading.take(self.part, lambda m: self._parts(m[0]))
        reading.take(self.selected, lambda m: self._objects(m["k"], m["w"], m[0]))
        reading.take(self.in_object, self._in_object)
        reading.take(self.colour, self._colours)
        reading.take(self.plain, lambda m: self._objects(m["k"], "", m[0]))
        reading.take(self.texture, lambda m: [Claim("look", "texture", (self.textures[m["t"]],), m[0])])
        reading.take(self.filler, lambda m: [])
        left = tuple(re.findall(r"[\w'-]+", reading.left))
        return Parsed(text, _in_order(reading.claims), left)

    def _shades(self, reading: _Reading) -> None:
        """ "the black dog" -> "the dog", with the thing's colour noted."""
        while match := self.coloured.search(reading.left):
            said = tuple(self.colours[word] for word in (match["c"], match["d"]) if word)
            reading.claims.append(Claim("look", "thing colour", said, match[0]))
            reading.left = f"{reading.left[: match.start()]}{match['a']} {match['n']}{reading.left[match.end() :]}"

    def _owners(self, reading: _Reading) -> None:
        """ "the left dog's ear" -> "its ear", with the object noted."""
        while match := self.owner.search(reading.left):
            reading.claims += self._objects(match["k"], match["w"] or "", match[0])
            reading.left = f"{reading.left[: match.start()]}its{reading.left[match.end() :].removeprefix(chr(39))}"

    def _objects(self, word: str, which: str, words: str) -> list[Claim]:
        claims = [Claim("object", "kind", (self.words.kind_words[word],), word)]
        if which in self.colours or which in ("lying", "standing"):
            return [*claims, Claim("which", "tell", (which,), words)]
        if which and which != "one":
            value = self.words.content["which"].get(which, which.replace(" from the ", " "))
            slot = "size" if value in ("larger", "smaller", "largest", "smallest") else "order"
            claims.append(Claim("which", slot, (value,), words))
        return claims

    def _counted(self, match: re.Match[str]) -> list[Claim]:
        count = Claim("which", "count", (str(self.words.content["counts"][match["n"]]),), f"{match['n']} {match['k']}")
        return [*self._objects(match["k"], match["w"], match[0]), count]

    def _named(self, words: str) -> tuple[frozenset[str], str]:
        """The parts that a phrase may mean, and its side."""
        side = re.search(r"\b(left|right)\b", words)
        plain = re.sub(r"\b(?:left|right) ", "", words)
        named = self.words.part_words
        return (
            named.get(plain) or named.get(re.sub(r"\b(?:one of its|the)\b", "its", plain, count=1))
            or named.get(re.sub(r"^(.*)\bthe\b", r"\1its", plain)) or frozenset(),
            side[1] if side else "",
        )  # fmt: skip

    def _parts(self, words: str) -> list[Claim]:
        parts, side = self._named(words)
        claims = [Claim("part", "part", tuple(sorted(parts)), words)]
        if side:
            claims.append(Claim("side", "own", (side,), words))
        return claims

    @staticmethod
    def _aside(type_: str, slot: str, match: re.Match[str]) -> list[Claim]:
        """A claim whose value is the side that was named, or the phrase itself; none where it only repeats one."""
        if not type_:
            return []
        side = (
            re.search(r"\b(left|right|upper|lower|middle)\b", match[0]) if type_ == "side" or slot == "facing" else None
        )
        return [Claim(type_, slot, (side[1] if side else match[0],), match[0])]

    def _near(self, direction: str, words: str, names: tuple[str, ...]) -> Claim:
        targets = tuple(("part", *self._named(name)) for name in names)
        return Claim("place", "near", (direction,), words, targets=targets)

    def _from_kind(self, match: re.Match[str]) -> list[Claim]:
        """ "level with" is about the row alone, "in line with" about the column."""
        target = ("kind", frozenset([self.words.kind_words[match["k"]]]), "")
        across, down = self._ranges(match["p"] or "", photo=False)
        across, down = (None, down) if match["axis"] == "level" else (across, None)
        return [Claim("place", "near", (self.directions[match["d"]],), match[0], across, down, (target,))]

    def _beside(self, match: re.Match[str]) -> list[Claim]:
        target = ("kind", frozenset([self.words.kind_words[match["k"]]]), "")
        across, down = self._ranges(match["p"] or "", photo=False)
        return [Claim("place", "near", ("around",), match[0], across, down, (target,))]

    def _in_photo(self, match: re.Match[str]) -> list[Claim]:
        across, down = self._ranges(match["g"], photo=True)
        return [Claim("place", "photo", (), match[0], across, down)]

    def _in_object(self, match: re.Match[str]) -> list[Claim]:
        across, down = self._ranges(f"{match['g']} {match['more'] or ''}", photo=False)
        claims = [Claim("place", "object", (), match[0].strip(" ,"), across, down)]
        return claims + (self._objects(match["k"], "", match[0]) if match["k"] else [])

    def _ranges(self, words: str, photo: bool) -> tuple[Range | None, Range | None]:
        """The stretches that place words name; a "middle" is on the axis of which nothing else is said."""
        places = self.words.content["places"]
        ranges = places["photo_ranges" if photo else "ranges"]
        column = row = ""
        middles = False
        for match in self.atom.finditer(words):
            column = places["columns"].get(match[0], column)
            row = places["rows"].get(match[0], row)
            middles |= match[0] in places["middles"]
        if middles:
            column, row = column or "centre", row or "middle"
        return (Range(*ranges[column]) if column else None), (Range(*ranges[row]) if row else None)

    def _colours(self, match: re.Match[str]) -> list[Claim]:
        said = tuple(self.colours[word] for word in (match["a"], match["b"]) if word)
        return [Claim("look", "colour", said, match[0])]


def _plain(text: str) -> str:
    """Lower case, single blanks, no sentence marks, one pronoun for all owners."""
    text = re.sub(r"[.;:!?()\"]| - ", CUT, f" {text.lower()} ").replace("\u2019", "'")
    text = re.sub(r"\b(?:their|his|her)\b", "its", text)
    return " ".join(re.sub(r"^ *right on (?=\w)", "on ", text).split())


def _in_order(claims: list[Claim]) -> tuple[Claim, ...]:
    """By type, each said thing once: "a dog ... of the dog" claims the dog once."""
    once: dict[tuple[object, ...], Claim] = {}
    for claim in claims:
        once.setdefault((claim.type, claim.slot, claim.values, claim.across, claim.down, claim.targets), claim)
    return tuple(sorted(once.values(), key=lambda claim: (TYPES.index(claim.type), SLOTS.index(claim.slot))))
