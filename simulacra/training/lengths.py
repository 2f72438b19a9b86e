"""How many images a GAN must be shown: until its pictures have shapes, and until they are good.

Measured learning curves with the settings of `auto`, rounded: they hold within a factor of two, and are no promise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulacra.data.dataset import Dataset

SIDE = 32  # px, for which the next two numbers stand, with drawings and batches of `BATCH`
FIRST = 15_000  # images until first shapes
GOOD = 200_000  # images until a longer run brings little
GROWTH = 1.5  # factor for each doubling of the side
PHOTOS = 2.0  # factor for photos
BATCH = 16
LARGE_BATCHES = 0.8  # exponent of the factor for larger batches, whose steps bring less than as many small ones
DRAWN = 0.065  # of neighbouring pixels beside the background are equal in drawings; clothes on black have 0.055, people 0.07
SAMPLE = 64  # pictures that are looked at


@dataclass(frozen=True)
class ImagesNeeded:
    """Images shown until first shapes, and until good pictures."""

    first: int
    good: int


def images_needed(data: Dataset, batch: int, side: int | None = None) -> ImagesNeeded:
    """What learning `data` takes in batches of `batch`. side: as if the pictures were of so many px."""
    _, height, width = data.shape
    factor: float = GROWTH ** np.log2((side or min(height, width)) / SIDE)
    factor *= max(1.0, batch / BATCH) ** LARGE_BATCHES
    factor *= 1.0 if is_drawn(data) else PHOTOS
    return ImagesNeeded(_rounded(FIRST * factor), _rounded(GOOD * factor))


def is_drawn(data: Dataset) -> bool:
    """Whether the pictures have flat areas beside their background, as drawings do and photos, also cut-out ones, do not."""
    rows = np.linspace(0, len(data) - 1, min(SAMPLE, len(data))).astype(int)
    pictures = np.asarray(data.images[rows]).astype(np.int64)
    flat = pairs = 0
    for colours in (pictures * 256 ** np.arange(pictures.shape[-1])).sum(-1):
        values, counts = np.unique(colours, return_counts=True)
        left, right = colours[:, :-1], colours[:, 1:]
        foreground = left != values[counts.argmax()]
        flat, pairs = flat + int((foreground & (left == right)).sum()), pairs + int(foreground.sum())
    return flat >= DRAWN * pairs


def _rounded(images: float) -> int:
    """Two figures: more would pretend to be exact."""
    return int(float(f"{images:.2g}"))
