"""Gather the free drawings that the bundled start was trained on: `python scripts/mixture.py EMOJI CLIPART OUT`.

EMOJI: the folder of the npm package emoji-datasource-google (Noto emoji, Apache 2.0). CLIPART: the folder `png` of
Debian's package openclipart-png (public domain). With them come the bundled people (CC0). No animals of CLIPART: they
are what the start is tested on. Each kind has a folder, which becomes its class. Then:
`simulacra prepare OUT start --size 64 --drop-duplicates`.
"""

from __future__ import annotations

import random
import shutil
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
            shutil.copy(emoji / "img" / "google" / "64" / name, folder(out, kind) / name)
    for kind in CLIPART:
        for i, path in enumerate(sorted((clipart / kind).rglob("*.png"))):
            if (picture := square(path)) is not None:
                picture.save(folder(out, kind) / f"{i:04}.png")


def folder(out: Path, kind: str) -> Path:
    """The folder of a kind of pictures."""
    (out / kind).mkdir(exist_ok=True)
    return out / kind


def square(path: Path) -> Image.Image | None:
    """The whole picture in the middle of a white square of 128 px; None for a huge one."""
    with Image.open(path) as picture:
        if picture.width * picture.height > LARGEST:
            return None
        picture.thumbnail((128, 128))
        paper = Image.new("RGBA", (128, 128), "white")
        paper.alpha_composite(picture.convert("RGBA"), ((128 - picture.width) // 2, (128 - picture.height) // 2))
    return paper.convert("RGB")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
