"""The pictures of a report, inlined as WebP: sheets, rows, walks between seeds, and the film of the previews."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from simulacra.gan import Generator, Shape, to_image
from simulacra.messages import text
from simulacra.training.curves import FRAME_SECONDS, LAST_SECONDS, open_preview, thinned
from simulacra.training.previews import PREVIEWS

Tile = NDArray[np.uint8]  # one picture [H, W, C]

SHEET = 768  # pixels a side of a sheet, at most
TILE = 112  # pixels a side of a picture in a row
# Sizes of the film, best first: frames, side in pixels, WebP quality.
FILMS = ((48, 480, 70), (48, 384, 62), (48, 352, 52), (40, 288, 45), (32, 240, 35), (24, 192, 25), (12, 128, 15))
# Columns of a translator's previews: a picture, its translation and its reconstruction; then those of the other domain.
TRANSLATED = 6
SAMPLES = 3  # frames from which the size of a film is estimated


@dataclass(frozen=True)
class InlinePicture:
    """A picture within the page."""

    uri: str
    width: int
    height: int
    alt: str
    pixelated: bool = False  # enlarge without smoothing


def tiles_of(pictures: Iterable[Tensor]) -> list[Tile]:
    """Pictures [C, H, W] in [-1, 1] -> tiles."""
    return [np.atleast_3d(np.asarray(to_image(picture))) for picture in pictures]


def fakes(
    generator: Generator,
    seeds: Sequence[int],
    *,
    label: str = "",
    y: Tensor | None = None,
    truncation: float = 1.0,
) -> list[Tile]:
    """The generator's pictures for `seeds`. y: a label for each, in place of `label`."""
    batches = generator.pictures(seeds, label=label, y=y, truncation=truncation)
    return tiles_of(picture for batch in batches for picture in batch)


def columns_for(shape: Shape) -> int:
    """How many pictures of `shape` (C, H, W) fit side by side in a sheet and stay legible."""
    return 6 if max(shape[1:]) <= 96 else 4


def sheet(tiles: Sequence[Tile], columns: int) -> Image.Image:
    """Tiles of one shape edge to edge; an incomplete last row is left out."""
    columns = max(1, min(columns, len(tiles)))
    rows = [np.concatenate(tiles[i : i + columns], axis=1) for i in range(0, len(tiles) - columns + 1, columns)]
    return as_image(np.concatenate(rows))


def as_image(pixels: Tile) -> Image.Image:
    """[H, W, C] as a grey, RGB or RGBA image."""
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def crop_grid(preview: Image.Image, shape: Shape, columns: int, rows: int) -> Image.Image:
    """The first `columns` by `rows` pictures of `shape` (C, H, W) in a grid."""
    _, height, width = shape
    return preview.crop((0, 0, min(preview.width, columns * width), min(preview.height, rows * height)))


def fitted(image: Image.Image, width: int) -> Image.Image:
    """`image` smoothed down to `width`, or enlarged by a whole factor (WebP blurs the colour of small dots)."""
    if image.width > width:
        return image.resize((width, max(1, round(image.height * width / image.width))), Image.Resampling.LANCZOS)
    factor = max(1, width // image.width)
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def inlined(image: Image.Image, alt: str, *, width: int, quality: int) -> InlinePicture:
    """A still as a part of the page, fitted to `width` pixels."""
    resized = fitted(image, width)
    buffer = io.BytesIO()
    resized.save(buffer, "WEBP", quality=quality, method=4)
    return InlinePicture(_uri(buffer), resized.width, resized.height, alt, resized.width > image.width)


def _uri(buffer: io.BytesIO) -> str:
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


@torch.no_grad()
def walk_tiles(generator: Generator, first: int, last: int, steps: int) -> list[Tile]:
    """`steps` pictures from one seed to another, both included; the label of the first stays.

    A normal prior is crossed along the great circle (Shoemake 1985), a uniform one along the straight line, because the
    circle would leave its cube.
    """
    a, b = generator.seeded([first, last])  # [z]
    t = torch.linspace(0, 1, steps, device=a.device)[:, None]  # [steps, 1]
    if generator.prior == "normal":
        angle = torch.arccos(torch.clamp(a @ b / (a.norm() * b.norm()), -1, 1))
        sine = torch.sin(angle)
        z = (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / sine if sine > 1e-4 else torch.lerp(a, b, t)
    else:
        z = torch.lerp(a, b, t)
    y = generator.conditions([first])
    return tiles_of(generator.eval()(z, y if y is None else y.expand(steps, -1)))


@dataclass(frozen=True)
class PreviewFilm:
    """The previews as an animation, and its last frame for readers who prefer no motion."""

    moving: InlinePicture
    still: InlinePicture
    frames: int
    of: int
    shrunk: bool  # a better film would have made the page too large


def preview_film(
    previews: Sequence[Path], shape: Shape, *, room: int, whole: bool = False, translated: bool = False
) -> PreviewFilm | None:
    """The best film of the previews that takes at most `room` bytes of the page; None when none fits.

    whole: show all rows, not as many as columns. translated: the previews are of a translator.
    """
    columns = TRANSLATED if translated else columns_for(shape)
    rows = PREVIEWS if whole else columns
    if translated:
        subject = text("report.film_of_translations")
    else:
        subject = text("report.film_of_classes" if whole else "report.film_of_seeds", columns=columns)
    most, largest, _ = FILMS[0]
    crops = [_crop(path, shape, (columns, rows), largest) for path in thinned(previews, most)]
    for count, side, quality in FILMS:
        frames = [fitted(crop, side) for crop in thinned(crops, count)]
        samples = thinned(frames, SAMPLES)
        estimate = sum(_size(frame, quality) for frame in samples) / len(samples) * len(frames)
        if estimate * 4 / 3 > 2 * room:  # a film may come out smaller than its frames one by one, but not by half
            continue
        values = {"subject": subject, "moments": len(frames)}
        moving = _animated(frames, text("report.alt_film", **values), quality)
        still = inlined(frames[-1], text("report.alt_film_still", **values), width=side, quality=quality)
        if len(moving.uri) + len(still.uri) <= room:
            shrunk = (count, side, quality) != FILMS[0]
            return PreviewFilm(moving, still, len(frames), len(previews), shrunk)
    return None


def _crop(path: Path, shape: Shape, grid: tuple[int, int], side: int) -> Image.Image:
    preview = open_preview(path)
    part = crop_grid(preview.convert("RGBA" if preview.mode == "RGBA" else "RGB"), shape, *grid)
    return fitted(part, side)


def _size(frame: Image.Image, quality: int) -> int:
    buffer = io.BytesIO()
    frame.save(buffer, "WEBP", quality=quality, method=2)
    return len(buffer.getvalue())


def _animated(frames: Sequence[Image.Image], alt: str, quality: int) -> InlinePicture:
    times = [round(1000 * FRAME_SECONDS)] * (len(frames) - 1) + [round(1000 * LAST_SECONDS)]
    options: dict[str, Any] = {"save_all": True, "append_images": frames[1:], "duration": times, "loop": 0}
    buffer = io.BytesIO()
    frames[0].save(buffer, "WEBP", quality=quality, method=2, **options)
    return InlinePicture(_uri(buffer), frames[0].width, frames[0].height, alt)
