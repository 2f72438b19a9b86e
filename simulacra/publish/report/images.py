"""The pictures of a report, inlined as WebP: sheets, rows, a walk between seeds, and the film of the previews."""

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
from simulacra.training.curves import FRAME_SECONDS, LAST_SECONDS, thinned
from simulacra.training.previews import PREVIEWS

Tile = NDArray[np.uint8]  # one picture [H, W, C]

SHEET = 768  # pixels a side of a sheet, at most
TILE = 112  # pixels a side of a picture in a row
# What the film may be, best first: frames, side in pixels, WebP quality.
FILMS = ((48, 480, 70), (48, 384, 62), (48, 352, 52), (40, 288, 45), (32, 240, 35), (24, 192, 25), (12, 128, 15))
TRANSLATED = (
    6  # columns of a translator's previews: a picture, its translation, what comes back; the same of the other domain
)
SAMPLES = 3  # frames that a film's size is estimated from


@dataclass(frozen=True)
class Picture:
    """A picture within the page."""

    uri: str
    width: int
    height: int
    alt: str
    pixelated: bool = False  # to be enlarged without smoothing


def tiles_of(pictures: Iterable[Tensor]) -> list[Tile]:
    """Pictures [C, H, W] in [-1, 1] -> tiles."""
    return [np.atleast_3d(np.asarray(to_image(picture))) for picture in pictures]


def fakes(generator: Generator, seeds: Sequence[int], *, label: str = "", truncation: float = 1.0) -> list[Tile]:
    """The pictures that `seeds` name."""
    drawn = generator.pictures(seeds, label=label, truncation=truncation)
    return tiles_of(picture for batch in drawn for picture in batch)


def columns_for(shape: Shape) -> int:
    """How many pictures of `shape` (C, H, W) go side by side in a sheet and still show something."""
    return 6 if max(shape[1:]) <= 96 else 4


def sheet(tiles: Sequence[Tile], columns: int) -> Image.Image:
    """Tiles of one shape laid out edge to edge; an unfinished last row is left out."""
    columns = max(1, min(columns, len(tiles)))
    rows = [np.concatenate(tiles[i : i + columns], axis=1) for i in range(0, len(tiles) - columns + 1, columns)]
    return as_image(np.concatenate(rows))


def as_image(pixels: Tile) -> Image.Image:
    """[H, W, C] as a picture: grey, RGB or RGBA."""
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def cut(preview: Image.Image, shape: Shape, columns: int, rows: int) -> Image.Image:
    """The first `columns` by `rows` pictures of `shape` (C, H, W) in a grid."""
    _, height, width = shape
    return preview.crop((0, 0, min(preview.width, columns * width), min(preview.height, rows * height)))


def fitted(image: Image.Image, width: int) -> Image.Image:
    """Made smaller to `width` smoothly, or larger by a whole factor as it is (WebP blurs the colour of small dots)."""
    if image.width > width:
        return image.resize((width, max(1, round(image.height * width / image.width))), Image.Resampling.LANCZOS)
    factor = max(1, width // image.width)
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def inlined(image: Image.Image, alt: str, *, width: int, quality: int) -> Picture:
    """A still as a part of the page, fitted to `width` pixels."""
    shown = fitted(image, width)
    buffer = io.BytesIO()
    shown.save(buffer, "WEBP", quality=quality, method=4)
    return Picture(_uri(buffer), shown.width, shown.height, alt, shown.width > image.width)


def _uri(buffer: io.BytesIO) -> str:
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


@torch.no_grad()
def walk(generator: Generator, first: int, last: int, steps: int) -> list[Tile]:
    """`steps` pictures on the way from one seed to another: along the great circle for a normal prior (Shoemake 1985),
    along the straight line for a uniform one, whose cube the circle would leave.
    """
    a, b = generator.seeded([first, last])  # [z]
    t = torch.linspace(0, 1, steps, device=a.device)[:, None]  # [steps, 1]
    if generator.prior == "normal":
        angle = torch.arccos(torch.clamp(a @ b / (a.norm() * b.norm()), -1, 1))
        sine = torch.sin(angle)
        z = (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / sine if sine > 1e-4 else torch.lerp(a, b, t)
    else:
        z = torch.lerp(a, b, t)
    y = generator.labelled([first])  # the way is one in z: the label stays
    return tiles_of(generator.eval()(z, y if y is None else y.expand(steps, -1)))


@dataclass(frozen=True)
class Film:
    """The previews as an animation, with its last frame for readers who want none."""

    moving: Picture
    still: Picture
    frames: int
    of: int
    shrunk: bool  # a better film would have made the page too large


def film(
    previews: Sequence[Path], shape: Shape, *, room: int, whole: bool = False, translated: bool = False
) -> Film | None:
    """The best film of the previews that takes at most `room` bytes of the page; None when none does.

    whole: all of their rows are in it, not as many as columns. translated: their columns go by sixes.
    """
    columns = TRANSLATED if translated else columns_for(shape)
    rows = PREVIEWS if whole else columns
    what = f"{columns} seeds of each class" if whole else f"{columns} by {columns} seeds"
    what = "pictures, their translations and what comes back," if translated else what
    most, largest, _ = FILMS[0]
    frames_of = [_frame(path, shape, (columns, rows), largest) for path in thinned(previews, most)]
    for frames, side, quality in FILMS:
        shots = [fitted(frame, side) for frame in thinned(frames_of, frames)]
        few = thinned(shots, SAMPLES)
        estimate = sum(_size(frame, quality) for frame in few) / len(few) * len(shots)
        if estimate * 4 / 3 > 2 * room:  # a film may come out smaller than its frames one by one, but not by half
            continue
        alt = f"The same {what} at {len(shots)} moments of the training, as an animation"
        moving = _animated(shots, alt, quality)
        still = inlined(shots[-1], alt.replace("as an animation", "the last of them"), width=side, quality=quality)
        if len(moving.uri) + len(still.uri) <= room:
            return Film(moving, still, len(shots), len(previews), (frames, side, quality) != FILMS[0])
    return None


def _frame(path: Path, shape: Shape, part_of: tuple[int, int], side: int) -> Image.Image:
    with Image.open(path) as preview:
        part = cut(preview.convert("RGBA" if preview.mode == "RGBA" else "RGB"), shape, *part_of)
    return fitted(part, side)


def _size(frame: Image.Image, quality: int) -> int:
    buffer = io.BytesIO()
    frame.save(buffer, "WEBP", quality=quality, method=2)
    return len(buffer.getvalue())


def _animated(frames: Sequence[Image.Image], alt: str, quality: int) -> Picture:
    times = [round(1000 * FRAME_SECONDS)] * (len(frames) - 1) + [round(1000 * LAST_SECONDS)]
    options: dict[str, Any] = {"save_all": True, "append_images": frames[1:], "duration": times, "loop": 0}
    buffer = io.BytesIO()
    frames[0].save(buffer, "WEBP", quality=quality, method=2, **options)
    return Picture(_uri(buffer), frames[0].width, frames[0].height, alt)
