"""Pack the drawings of render.mjs into the files shipped with the package: a lossless WebP sheet and the table.

Run `node render.mjs` first, then `python pack.py`. After `node render.mjs 128`, `python pack.py FOLDER` cuts the sheet into
pictures of 128 px.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent
TARGET = HERE.parents[1] / "simulacra" / "data" / "peeps"
COLUMNS = 60  # tiles in a row of the sheet
LIMIT = 3_000_000  # bytes, all files together


def main() -> None:
    """Write peeps.webp and peeps.csv, check that every pixel is equal, and print their size."""
    TARGET.mkdir(exist_ok=True)
    webp = TARGET / "peeps.webp"
    with Image.open(HERE / "build" / "sheet.ppm") as sheet:
        pixels = sheet.tobytes()
        sheet.save(webp, lossless=True, quality=100, method=6)
    with Image.open(webp) as sheet:
        if sheet.convert("RGB").tobytes() != pixels:
            raise SystemExit(f"{webp} does not hold the pixels of build/sheet.ppm.")
    shutil.copyfile(HERE / "build" / "peeps.csv", TARGET / "peeps.csv")
    total = sum(path.stat().st_size for path in TARGET.iterdir())
    print(f"{TARGET}: {total:,} bytes")
    if total > LIMIT:
        raise SystemExit(f"That is more than {LIMIT:,} bytes. Render fewer people.")


def cut(folder: Path) -> None:
    """Write each picture of the sheet to a file."""
    folder.mkdir(parents=True)
    with Image.open(HERE / "build" / "sheet.ppm") as sheet:
        side = sheet.width // COLUMNS
        for i in range(COLUMNS * sheet.height // side):
            left, top = i % COLUMNS * side, i // COLUMNS * side
            sheet.crop((left, top, left + side, top + side)).save(folder / f"{i:04}.png")


if __name__ == "__main__":
    cut(Path(sys.argv[1])) if sys.argv[1:] else main()
