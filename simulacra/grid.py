"""Many pictures laid out in one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from simulacra.gan import Shape, to_image

SMALLEST, LARGEST = 9, 15  # pixels of the letters of a row's name
LONGEST = 32  # letters of it


class Grid:
    """Room for `count` pictures of `shape` (C, H, W) in rows, as square as it gets; add them one by one.

    columns: pictures in a row. names: of the rows, written at their left.
    """

    def __init__(self, count: int, shape: Shape, *, columns: int | None = None, names: Sequence[str] = ()) -> None:
        channels, self.height, self.width = shape
        self.columns = columns or max(1, round(count**0.5))
        self.rows = -(-count // self.columns)
        self.taken, self.margin = 0, 0
        written = _written(names, self.height)
        if written is not None:
            self.margin = written.width
        height, width = self.rows * self.height, self.margin + self.columns * self.width
        self.pixels = np.full((height, width, channels), 255, np.uint8)
        if written is not None:
            self.pixels[:, : self.margin, : min(3, channels)] = np.asarray(written)[:, :, None]

    def add(self, picture: Tensor) -> None:
        """The next picture [C, H, W] in [-1, 1]."""
        y, x = divmod(self.taken, self.columns)
        tile = np.asarray(to_image(picture)).reshape(self.height, self.width, -1)
        left = self.margin + x * self.width
        self.pixels[y * self.height : (y + 1) * self.height, left : left + self.width] = tile
        self.taken += 1

    def image(self) -> Image.Image:
        """The whole, white where no picture came."""
        return Image.fromarray(self.pixels[:, :, 0] if self.pixels.shape[2] == 1 else self.pixels)


def _written(names: Sequence[str], height: int) -> Image.Image | None:
    """The names of rows of `height` pixels, in dark grey on white, flush right; None where there are none."""
    if not names:
        return None
    import matplotlib

    size = min(LARGEST, max(SMALLEST, height - 4))
    # Pillow's own font has no accents; matplotlib's knows Latin, Greek and Cyrillic.
    font = ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)
    lines = [" ".join(name.split()) for name in names]
    short = [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name in lines]
    width = round(max(font.getlength(name) for name in short)) + size
    image = Image.new("L", (width, len(names) * height), 255)
    draw = ImageDraw.Draw(image)
    for row, name in enumerate(short):
        draw.text((width - size // 2, round((row + 0.5) * height)), name, 40, font, anchor="rm")
    return image
