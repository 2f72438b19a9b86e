"""The training pictures in an exhibit: thumbnails in one image, with which the page compares what it draws.

The page's measure is the root mean square difference of two pictures at 16 x 16 pixels, in levels of 255. It needs no
network, and says how alike pictures are in colour and layout, not whether they show the same person.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from simulacra.data.dataset import Dataset
from simulacra.errors import SimulacraError

SIDE = 32  # px of a thumbnail's longer side
MAX_SIDE = 16_383  # px of a WebP
QUALITY = 85


def thumbnails(data: Dataset) -> tuple[bytes, dict[str, Any]]:
    """All pictures of a dataset as one WebP, and its layout: count, columns, width and height of a thumbnail.

    Raises `SimulacraError` for more pictures than an image can hold.
    """
    _, tall, wide = data.shape
    width, height = (max(1, round(SIDE * length / max(tall, wide))) for length in (wide, tall))
    columns = max(1, round((len(data) * height / width) ** 0.5))
    rows = -(-len(data) // columns)
    if max(columns * width, rows * height) > MAX_SIDE:
        raise SimulacraError("export.too_many_thumbnails", pictures=len(data), most=(MAX_SIDE // SIDE) ** 2)
    sheet = Image.new("RGB", (columns * width, rows * height), "white")
    for number, picture in enumerate(data.images):
        row, column = divmod(number, columns)
        sheet.paste(_on_white(picture).resize((width, height), Image.Resampling.BOX), (column * width, row * height))
    file = io.BytesIO()
    sheet.save(file, "WEBP", quality=QUALITY, method=4)
    return file.getvalue(), {"count": len(data), "columns": columns, "width": width, "height": height}


def _on_white(picture: np.ndarray) -> Image.Image:
    """A picture [H, W, C] uint8 as RGB, transparent parts on white."""
    image = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
    if image.mode != "RGBA":
        return image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
