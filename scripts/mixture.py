"""Gather the free drawings that the bundled start was trained on: `python scripts/mixture.py EMOJI CLIPART OUT`.

EMOJI: the folder of the npm package emoji-datasource-google (Noto emoji, Apache 2.0). CLIPART: the folder `png` of
Debian's package openclipart-png (public domain). With them come the bundled people (CC0). No animals of CLIPART: they
are what the start is tested on. Each kind has a folder, which becomes its class. Half of the pictures lie on white, half
on a flat colour each: a start that has only seen white takes long to learn another ground. Then:
`simulacra prepare OUT start --size 64 --drop-duplicates`.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from PIL import Image

from simulacra.data.opening import open_domain
from simulacra.files import read_json

SYMBOLS = {"Flags", "Symbols", "Component"}  # of the emoji, what is no drawing of a thing
CLIPART = [
    "people",
    "food",
    "transportation",
    "tools",
    "office",
    "plants",
    "buildings",
    "recreation",
    "electronics",
    "decorations",
]
CLIPART += ["education", "special"]
LARGEST = 10_000_000  # pixels
Image.MAX_IMAGE_PIXELS = None  # `square` looks before it decodes


def main(emoji: Path, clipart: Path, out: Path) -> None:
    """Write the pictures to a new folder `out`."""
    out.mkdir(parents=True)
    people = open_domain("peeps").images
    for i in range(len(people)):
        Image.fromarray(people[i]).save(folder(out, "open-peeps") / f"{i:04}.png")
    source = random.Random(0)
    for entry in read_json(emoji / "emoji.json"):
        if entry["category"] not in SYMBOLS and entry["has_img_google"]:
            tones = [entry, *entry.get("skin_variations", {}).values()]
            name = source.choice(tones)["image"]
            kind = "emoji-" + entry["category"].split()[0].lower()
            square(emoji / "img" / "google" / "64" / name, 64, paper(source)).save(folder(out, kind) / name)
    for kind in CLIPART:
        for i, path in enumerate(sorted((clipart / kind).rglob("*.png"))):
            if not huge(path):
                square(path, 128, paper(source)).save(folder(out, kind) / f"{i:04}.png")


def folder(out: Path, kind: str) -> Path:
    """The folder of a kind of pictures."""
    (out / kind).mkdir(exist_ok=True)
    return out / kind


def huge(path: Path) -> bool:
    """Whether a picture has more than `LARGEST` pixels."""
    with Image.open(path) as picture:
        return picture.width * picture.height > LARGEST


def paper(source: random.Random) -> str:
    """White, or as often a colour, light or dark."""
    colour = f"hsl({source.randrange(360)}, {source.randrange(20, 90)}%, {source.randrange(20, 90)}%)"
    return source.choice(["white", colour])


def square(path: Path, side: int, ground: str) -> Image.Image:
    """The whole picture in the middle of a square of `side` px of a colour."""
    with Image.open(path) as picture:
        picture.thumbnail((side, side))
        whole = Image.new("RGBA", (side, side), ground)
        whole.alpha_composite(picture.convert("RGBA"), ((side - picture.width) // 2, (side - picture.height) // 2))
    return whole.convert("RGB")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
