"""The training pictures in an exhibit: thumbnails in one image, with which the page compares what it draws.

The page's measure is the root mean square difference of two pictures at 16 x 16 pixels, in levels of 255. It needs no
network, and says how alike pictures are in colour and layout, not whether they show the same person.
"""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from simulacra.data.dataset import Dataset
from simulacra.errors import SimulacraError

SIDE = 32  # px of a thumbnail's longer side
GRID = 16  # px a side at which pictures are compared
MAX_SIDE = 16_383  # px of a WebP


class Thumbnails(NamedTuple):
    """All pictures of a dataset as two WebP images of equal layout: to look at, and to compare with (lossless)."""

    shown: bytes
    compared: bytes
    layout: dict[str, int]  # count, columns, and width and height of one that is shown


def thumbnails(data: Dataset) -> Thumbnails:
    """Small copies of a dataset's pictures. Raises `SimulacraError` for more than an image can hold."""
    _, tall, wide = data.shape
    width, height = (max(1, round(SIDE * length / max(tall, wide))) for length in (wide, tall))
    columns = max(1, round((len(data) * height / width) ** 0.5))
    rows = -(-len(data) // columns)
    if max(columns * max(width, GRID), rows * max(height, GRID)) > MAX_SIDE:
        raise SimulacraError("export.too_many_thumbnails", pictures=len(data), most=(MAX_SIDE // SIDE) ** 2)
    return Thumbnails(
        _sheet(data, columns, (width, height), quality=85),
        _sheet(data, columns, (GRID, GRID), lossless=True),
        {"count": len(data), "columns": columns, "width": width, "height": height},
    )


def _sheet(data: Dataset, columns: int, size: tuple[int, int], **options: Any) -> bytes:
    width, height = size
    sheet = Image.new("RGB", (columns * width, -(-len(data) // columns) * height), "white")
    for number, picture in enumerate(data.images):
        row, column = divmod(number, columns)
        sheet.paste(_on_white(picture).resize(size, Image.Resampling.BOX), (column * width, row * height))
    file = io.BytesIO()
    sheet.save(file, "WEBP", method=4, **options)
    return file.getvalue()


def _on_white(picture: np.ndarray) -> Image.Image:
    """A picture [H, W, C] uint8 as RGB, transparent parts on white."""
    image = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
    if image.mode != "RGBA":
        return image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
