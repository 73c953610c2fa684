"""Make sheets of descriptions to be judged by eye, and compare what judges said with each other and with the rule.

    python -m training.truth_sheets make --data DIR --output sheets/
    python -m training.truth_sheets compare --data DIR --judged training/judged_texts.json

`make` describes points of 200 test photos, half of them of sets that the descriptor is trained on and half not, and
writes PNG sheets (photo, crop, text, numbered claims; no verdicts) and `judged_texts.json` with an empty judging for
somebody who looks. `compare` prints the agreement of each judging with the rule and of each pair of judgings.
"""

import argparse
import json
import random
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from talkingpoints import TalkingPoints, __version__
from talkingpoints.evaluation.truth.annotations import AnnotatedPhoto
from talkingpoints.evaluation.truth.checking import judge
from talkingpoints.evaluation.truth.judged import agreement, claim_json, question, read_judged
from talkingpoints.evaluation.truth.parsing import parse
from talkingpoints.evaluation.truth.places import Place, places_of, truth_at
from talkingpoints.evaluation.truth.ring import whole_and_crop
from talkingpoints.evaluation.truth.sets import read_set
from talkingpoints.points import to_unit

IN_DOMAIN = {"animalpose": 60, "animalpose anywhere": 15, "people": 25}
OUT_OF_DOMAIN = {
    "coco_panoptic": 25, "birds": 10, "ccp": 10, "carparts": 8, "facades": 8, "lspet": 7, "celebamask": 6,
    "faces300w": 6, "bikes": 6, "tools": 6, "camvid": 4, "wildlife_boxes": 4,
}  # fmt: skip
ANYWHERE = " anywhere"
"""Of such a set points are drawn from the whole photo, not from what is annotated."""
SECOND = 60
"""Texts for a second judge, evenly spaced."""
ACROSS, DOWN = 2, 3
PHOTO_PX, CROP_PX, TEXT_PX = 400, 300, 210


def main(argv: Sequence[str]) -> None:
    """Run from the command line; see the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    make_ = commands.add_parser("make", help="describe, draw sheets, write an empty judging")
    make_.add_argument("--output", type=Path, required=True, metavar="DIR")
    make_.add_argument("--descriptor", metavar="DIR", help="default: the bundled one")
    make_.add_argument("--seed", type=int, default=0)
    compare_ = commands.add_parser("compare", help="agreement of judgings and rule")
    compare_.add_argument("--judged", type=Path, nargs="+", required=True, metavar="FILE.json")
    for command in (make_, compare_):
        command.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of the data sets")
    arguments = parser.parse_args(argv)
    if arguments.command == "make":
        make(arguments.data, arguments.output, arguments.descriptor, arguments.seed)
    else:
        print(compare(arguments.data, arguments.judged))


def make(data: Path, output: Path, descriptor: str | None, seed: int) -> None:
    """Describe the points and write sheets, `judged_texts.json` and `second_judge.json` into a folder."""
    pair = TalkingPoints.from_pretrained(descriptor=descriptor)
    output.mkdir(parents=True, exist_ok=True)
    texts: list[dict[str, Any]] = []
    cells: list[Image.Image] = []
    for domain, numbers in (("in", IN_DOMAIN), ("out", OUT_OF_DOMAIN)):
        for name, number in numbers.items():
            for photo, place in chosen_points(data, name, number, seed):
                image = Image.fromarray(photo.pixels)
                point_px = (place.point[0] * image.width, place.point[1] * image.height)
                text = pair.describe(image, [point_px])[0].text
                entry = {
                    "id": f"t{len(texts):03d}", "domain": domain, "set": name.removesuffix(ANYWHERE), "split": "test",
                    "photo": photo.file.name, "x": round(point_px[0], 2), "y": round(point_px[1], 2),
                    "item": place.item, "named": place.named, "describer": descriptor or f"bundled {__version__}",
                    "text": text, "claims": [claim_json(claim) for claim in parse(text).claims],
                }  # fmt: skip
                texts.append(entry)
                cells.append(cell(image, point_px, entry))
    for start in range(0, len(cells), ACROSS * DOWN):
        name = f"sheet_{start // (ACROSS * DOWN):02d}.png"
        sheet(cells[start : start + ACROSS * DOWN]).save(output / name)
    for name, some in (("judged_texts", texts), ("second_judge", texts[:: max(1, len(texts) // SECOND)][:SECOND])):
        verdicts = {entry["id"]: [None] * len(entry["claims"]) for entry in some}
        empty = {"judge": "", "how": "", "verdicts": verdicts}
        content = {"texts": some, "judgings": [empty]}
        (output / f"{name}.json").write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    questions = [f"{t['id']}: {t['text']}\n" + "".join(f"  {i + 1}. {question(c)}\n" for i, c in enumerate(t["claims"]))
                 for t in texts]  # fmt: skip
    (output / "questions.txt").write_text("\n".join(questions), encoding="utf-8")


def chosen_points(data: Path, name: str, number: int, seed: int) -> list[tuple[AnnotatedPhoto, Place]]:
    """One point in each of so many test photos of a set, or a few in each where it has fewer."""
    rng = random.Random(f"{seed} {name}")
    photos = read_set(data, name.removesuffix(ANYWHERE), "test")
    rng.shuffle(photos)
    found: list[tuple[AnnotatedPhoto, Place]] = []
    while len(found) < number:
        for photo in photos:
            if name.endswith(ANYWHERE):
                places = [Place((0.05 + 0.9 * rng.random(), 0.05 + 0.9 * rng.random()))]
                places = places if photo.class_mask is not None else []
            else:
                places = places_of(photo, rng, 1)
            found += [(photo, place) for place in places]
            if len(found) >= number:
                break
    return found


def cell(image: Image.Image, point_px: tuple[float, float], entry: Mapping[str, Any]) -> Image.Image:
    """One item of a sheet: the photo and a crop with the point in a ring, the text and its numbered claims."""
    drawn = Image.new("RGB", (PHOTO_PX + CROP_PX + 12, PHOTO_PX + TEXT_PX), "white")
    whole, crop = whole_and_crop(image, point_px, (PHOTO_PX, CROP_PX))
    drawn.paste(whole, (0, 0))
    drawn.paste(crop, (PHOTO_PX + 6, 0))
    pen, font = ImageDraw.Draw(drawn), ImageFont.load_default(size=15)
    claims = [f"{i + 1} {c['type']}: {c['words']}" for i, c in enumerate(entry["claims"])]
    pen.text((PHOTO_PX + 8, CROP_PX + 6), f"{entry['id']} ({entry['set']})", fill="black", font=font)
    lines = textwrap.wrap(entry["text"], 92) + textwrap.wrap(" | ".join(claims), 92)
    pen.text((4, PHOTO_PX + 4), "\n".join(lines), fill="black", font=font)
    return drawn


def sheet(cells: Sequence[Image.Image]) -> Image.Image:
    """Several items on one page."""
    width, height = cells[0].size
    page = Image.new("RGB", (ACROSS * (width + 12), DOWN * (height + 8)), "lightgrey")
    for i, item in enumerate(cells):
        page.paste(item, ((i % ACROSS) * (width + 12), (i // ACROSS) * (height + 8)))
    return page


def ruled(data: Path, texts: Sequence[Mapping[str, Any]]) -> dict[str, list[bool | None]]:
    """What the rule says of each text.

    Raises:
        ValueError: If a photo is not in its set, or a text is parsed to other claims than it was judged by.
    """
    photos: dict[tuple[str, str], dict[str, AnnotatedPhoto]] = {}
    verdicts: dict[str, list[bool | None]] = {}
    for entry in texts:
        key = (entry["set"], entry["split"])
        if key not in photos:
            photos[key] = {photo.file.name: photo for photo in read_set(data, *key)}
        if entry["photo"] not in photos[key]:
            raise ValueError(f"{entry['id']}: no photo {entry['photo']!r} in {key[1]} of {key[0]}")
        photo = photos[key][entry["photo"]]
        claims = parse(entry["text"]).claims
        if [claim_json(claim) for claim in claims] != entry["claims"]:
            raise ValueError(f"{entry['id']}: the text is parsed to other claims today; judge it again")
        x, y = np.asarray(to_unit((entry["x"], entry["y"]), photo.size)).tolist()
        verdicts[entry["id"]] = judge(claims, truth_at(photo, Place((x, y), entry["item"], entry["named"])))
    return verdicts


def compare(data: Path, files: Sequence[Path]) -> str:
    """A Markdown table of agreements: each judging with the rule, and each pair of judgings."""
    contents = [read_judged(file) for file in files]
    texts = {text["id"]: text for content in contents for text in content["texts"]}
    judgings = [judging for content in contents for judging in content["judgings"]]
    rule = ruled(data, list(texts.values()))
    rows = []
    pairs = [("rule", rule, judging["judge"], judging["verdicts"]) for judging in judgings]
    pairs += [(a["judge"], a["verdicts"], b["judge"], b["verdicts"])
              for i, a in enumerate(judgings) for b in judgings[i + 1 :]]  # fmt: skip
    for one, first, two, second in pairs:
        for domain in ("in", "out", "both"):
            some = [text for text in texts.values() if domain in (text["domain"], "both")]
            found = agreement(some, first, second)
            shares = [f"{found.share(t):.1%} ({found.decided[t]})" if found.decided[t] else "-" for t in found.decided]
            rows.append(f"| {one} / {two} | {domain} | " + " | ".join(shares) + " |")
    head = "| judgings | domain | object | which | part | side | place | look | all |"
    return "\n".join([head, f"|{'---|' * 9}", *rows])


if __name__ == "__main__":
    main(sys.argv[1:])
