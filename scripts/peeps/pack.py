"""Pack the drawings of render.mjs into the files shipped with the package: a lossless WebP sheet and the table.

Run `node render.mjs` first, then `python pack.py`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent
TARGET = HERE.parents[1] / "simulacra" / "data" / "peeps"
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


if __name__ == "__main__":
    main()
