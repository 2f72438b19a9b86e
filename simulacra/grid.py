"""Many pictures in one image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from simulacra.generator import to_image
from simulacra.settings import Shape

MAX_SIDE = 9_000  # pixels of a grid that is written to a file
MIN_FONT, MAX_FONT = 9, 15  # pixels
MAX_LETTERS = 32  # of a row's name


class Grid:
    """Space for `count` pictures of `shape` (C, H, W), nearly square, filled row by row.

    columns: pictures in a row. names: of the rows, written to their left.
    """

    def __init__(self, count: int, shape: Shape, *, columns: int | None = None, names: Sequence[str] = ()) -> None:
        channels, self.height, self.width = shape
        self.columns = columns or max(1, round(count**0.5))
        self.rows = -(-count // self.columns)
        self.filled, self.margin = 0, 0
        header = _row_names(names, self.height)
        if header is not None:
            self.margin = header.width
        height, width = self.rows * self.height, self.margin + self.columns * self.width
        self.pixels = np.full((height, width, channels), 255, np.uint8)
        if header is not None:
            self.pixels[:, : self.margin, : min(3, channels)] = np.asarray(header)[:, :, None]

    def add(self, picture: Tensor) -> None:
        """Put a picture [C, H, W] in [-1, 1] into the next cell."""
        y, x = divmod(self.filled, self.columns)
        tile = np.asarray(to_image(picture)).reshape(self.height, self.width, -1)
        left = self.margin + x * self.width
        self.pixels[y * self.height : (y + 1) * self.height, left : left + self.width] = tile
        self.filled += 1

    def image(self) -> Image.Image:
        """The grid; empty cells are white."""
        return Image.fromarray(self.pixels[:, :, 0] if self.pixels.shape[2] == 1 else self.pixels)


def open_font(size: int) -> ImageFont.FreeTypeFont:
    """The font of words in pictures, `size` pixels high."""
    import matplotlib

    # Pillow's own font has no accents; matplotlib's has Latin, Greek and Cyrillic.
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)


def _row_names(names: Sequence[str], height: int) -> Image.Image | None:
    """Names of rows `height` pixels high, dark grey on white, flush right; None without names."""
    if not names:
        return None
    size = min(MAX_FONT, max(MIN_FONT, height - 4))
    font = open_font(size)
    lines = [" ".join(name.split()) for name in names]
    short = [name if len(name) <= MAX_LETTERS else f"{name[: MAX_LETTERS - 1]}…" for name in lines]
    width = round(max(font.getlength(name) for name in short)) + size
    image = Image.new("L", (width, len(names) * height), 255)
    draw = ImageDraw.Draw(image)
    for row, name in enumerate(short):
        draw.text((width - size // 2, round((row + 0.5) * height)), name, 40, font, anchor="rm")
    return image
