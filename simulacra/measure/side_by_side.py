"""A picture of two models side by side: what both draw from the same seeds, or make of the same pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw
from torch import Tensor

from simulacra.grid import MAX_FONT, MAX_SIDE, Grid, open_font
from simulacra.provenance import read_provenance, write_png

COLUMNS = 8  # of pictures a model, or as many as fit
GUTTER = 16  # pixels


def side_by_side(panels: Mapping[str, Tensor]) -> Image.Image:
    """Pictures [N, C, H, W] in [-1, 1] of each panel as a grid, the panels in a row, each under its title."""
    images = {}
    for title, pictures in panels.items():
        shape = (pictures.shape[1], pictures.shape[2], pictures.shape[3])
        columns = max(1, min(COLUMNS, MAX_SIDE // len(panels) // shape[2]))
        grid = Grid(len(pictures), shape, columns=columns)
        for picture in pictures:
            grid.add(picture)
        images[title] = grid.image().convert("RGBA")
    font, header = open_font(MAX_FONT), MAX_FONT + GUTTER
    widths = {title: max(image.width, round(font.getlength(title))) for title, image in images.items()}
    width = sum(widths.values()) + GUTTER * (len(images) - 1)
    sheet = Image.new("RGB", (width, header + max(image.height for image in images.values())), "white")
    draw, left = ImageDraw.Draw(sheet), 0
    for title, image in images.items():
        draw.text((left, GUTTER // 2), title, (40, 40, 40), font)
        sheet.paste(image, (left, header), image)
        left += widths[title] + GUTTER
    return sheet


def write_side_by_side(path: Path, panels: Mapping[str, Tensor], record: dict[str, Any]) -> Path:
    """Write the picture with its provenance; another picture at `path` stays, and the name gets a number."""
    record = {"compare": record}
    stem, number = path.stem, 1
    while path.exists() and read_provenance(path) != record:
        number += 1
        path = path.with_name(f"{stem}-{number}{path.suffix}")
    write_png(side_by_side(panels), path, record)
    return path
