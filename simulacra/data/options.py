"""What a user may decide about a data set, checked as soon as it is said."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any, Literal

from PIL import ImageColor

from simulacra.data.decoding import SAMPLINGS, Crop
from simulacra.errors import SimulacraError, did_you_mean

SIDES = range(4, 2049)


@dataclass(frozen=True, kw_only=True)
class Options:
    """All that decides what `prepare` makes of a source; only `workers` does not.

    `size` is (H, W). `crop`: "centre" keeps the largest centred rectangle of that shape, "none" squeezes the
    whole picture into it, a fraction takes the central share of width and height before the rectangle.
    `channels` "auto" is grey if no picture has colour, else rgb; transparent pictures are laid on `background`
    unless it is "rgba". `per_folder` and `limit` count usable pictures. Pictures with a side below `min_side`
    are set aside, others that are smaller than `size` are enlarged. `labels`: "auto", "none", "folder", or the
    column that becomes the class. `split` holds the shares of train, valid and test.
    """

    size: tuple[int, int] = (64, 64)
    crop: Crop = "centre"
    channels: Literal["auto", "grey", "rgb", "rgba"] = "auto"
    background: str = "white"
    per_folder: int | None = None
    limit: int | None = None
    labels: str = "auto"
    split: tuple[float, float, float] = (0.8, 0.1, 0.1)
    seed: int = 0
    resample: Literal["lanczos", "bicubic", "box"] = "lanczos"
    min_side: int = 8
    max_megapixels: float = 100
    drop_duplicates: bool = False
    workers: int | None = None

    def __post_init__(self) -> None:
        if not all(side in SIDES for side in self.size):
            raise SimulacraError(f"A side of {max(self.size)} pixels is not possible: {SIDES[0]} to {SIDES[-1]} are.")
        if not isinstance(self.crop, str) and not 0 < self.crop <= 1:
            raise SimulacraError(f"--crop {self.crop} is no share: give a number above 0 and up to 1, centre or none.")
        if abs(sum(self.split) - 1) > 1e-6 or min(self.split) < 0 or self.split[0] <= 0:
            raise SimulacraError(f"The split {self.split} must be three shares that add up to 1, the first above 0.")
        if self.resample not in SAMPLINGS:
            raise SimulacraError(f"--resample {self.resample} is not one of {', '.join(SAMPLINGS)}.")
        if self.channels not in ("auto", "grey", "rgb", "rgba"):
            raise SimulacraError(f"--channels {self.channels} is not one of auto, grey, rgb, rgba.")
        for name in ("per_folder", "limit", "workers", "min_side"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise SimulacraError(f"--{name.replace('_', '-')} {value} leaves nothing: give 1 or more.")
        colour(self.background)

    def told(self) -> dict[str, Any]:
        """What decides the result, as JSON."""
        values = {key: value for key, value in dataclasses.asdict(self).items() if key != "workers"}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


def parse_size(text: str) -> tuple[int, int]:
    """`64` or `64x48` (width x height, as people say it) -> (H, W)."""
    match = re.fullmatch(r"\s*(\d{1,5})\s*(?:[x×]\s*(\d{1,5})\s*)?", text, re.ASCII)
    if not match:
        raise SimulacraError(f"--size {text} is no size: write 64 or 64x48 (width x height).")
    width, height = int(match[1]), int(match[2] or match[1])
    if width not in SIDES or height not in SIDES:
        raise SimulacraError(f"--size {text} is not possible: sides of {SIDES[0]} to {SIDES[-1]} pixels are.")
    return height, width


def parse_crop(text: str) -> Crop:
    """`centre`, `center`, `none`, or a share such as `0.5`."""
    if text in ("centre", "center"):
        return "centre"
    if text == "none":
        return "none"
    try:
        return float(text)
    except ValueError:
        raise SimulacraError(f"--crop {text} is not known: give centre, none or a share such as 0.5.") from None


def colour(name: str) -> tuple[int, int, int]:
    """A colour's name or #rrggbb as (red, green, blue)."""
    try:
        return ImageColor.getrgb(name)[:3]
    except ValueError:
        hint = did_you_mean(name, ImageColor.colormap)
        raise SimulacraError(f"The background {name!r} is no colour: give a name or #rrggbb.{hint}") from None
