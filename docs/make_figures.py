"""Draw the three pictures of README.md with the bundled models' answers of today.

    python docs/make_figures.py

Each picture is a sample photo of scikit-image with the question and the answer below it. Run this script, and
``docs/make_outputs.py``, whenever the bundled models change.
"""

import sys
import textwrap
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

from PIL import Image, ImageDraw, ImageFont
from skimage import data

from space.drawing import draw
from talkingpoints import TalkingPoints
from talkingpoints.points import to_unit

IMAGES = Path(__file__).resolve().parent / "images"
WIDTH, HEIGHT = 440, 300  # of the photo in each picture
CAPTION = 104
FONT = 15
MARGIN = 10


def picture(photo: Image.Image, question: str, answer: str) -> Image.Image:
    """A photo that is fitted into the frame, with question and answer below it."""
    fitted = photo.copy()
    fitted.thumbnail((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    page = Image.new("RGB", (WIDTH, HEIGHT + CAPTION), "white")
    page.paste(fitted, ((WIDTH - fitted.width) // 2, (HEIGHT - fitted.height) // 2))
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(FONT)
    pen.text((MARGIN, HEIGHT + MARGIN), question, "#b45309", font)
    lines = textwrap.wrap(answer, 62)
    pen.multiline_text((MARGIN, HEIGHT + MARGIN + 22), "\n".join(lines), "#1e293b", font)
    return page


def described(tp: TalkingPoints, photo: Image.Image, point: tuple[float, float]) -> Image.Image:
    """A photo with a clicked point and its description."""
    marked = draw(photo, clicked=tuple(to_unit(point, (photo.height, photo.width))))
    return picture(marked, f"describe({point[0]}, {point[1]})", tp.describe(photo, point).text)


def localized(tp: TalkingPoints, photo: Image.Image, text: str) -> Image.Image:
    """A photo with the heat map and the point of a text."""
    found = tp.localize(photo, text)
    answer = f"found: {found.found}, at ({found.x:.0f}, {found.y:.0f}), confidence {found.confidence:.2f}"
    return picture(draw(photo, found=found.unit, heatmap=found.heatmap), f'localize("{text}")', answer)


def main() -> None:
    """Write the pictures."""
    tp = TalkingPoints.from_pretrained()
    cat, astronaut, coffee = (Image.fromarray(photo) for photo in (data.chelsea(), data.astronaut(), data.coffee()))
    pictures = {
        "describe": described(tp, cat, (175, 110)),
        "localize": localized(tp, astronaut, "the person's nose"),
        "failure": described(tp, coffee, (300, 200)),
    }
    IMAGES.mkdir(exist_ok=True)
    for name, image in pictures.items():
        image.save(IMAGES / f"{name}.webp", quality=82, method=6)


if __name__ == "__main__":
    main()
