"""Options of `prepare`, validated when they are constructed."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from PIL import ImageColor

from simulacra.data.decoding import FILTERS, Crop
from simulacra.errors import SimulacraError, did_you_mean

SIDES = range(4, 2049)
FACTORS = (2, 4, 8)  # at which originals can be kept, and pictures enlarged
CHANNELS = ("auto", "grey", "rgb", "rgba")

Size = int | str | tuple[int, int]  # a side in pixels, "64x48" (width x height), "auto", or (H, W)
GivenSize = tuple[int, int] | Literal["auto"]


@dataclass(frozen=True, kw_only=True)
class PrepareOptions:
    """Everything that decides what `prepare` makes of a source; `workers` alone has no influence.

    `size`: (H, W) in pixels, or "auto": see `sizing.choose_size`. `crop`: "centre" keeps the largest centred rectangle of that shape, "none" squeezes the
    whole picture, a fraction first takes the central part with that share of width and height. `channels`: "auto" is
    grey if no picture has colour, else rgb; unless "rgba", transparent pictures are laid on `background`.
    `per_folder` and `limit` count usable pictures. Pictures with a side below `min_side` pixels are not used; other
    pictures smaller than `size` are enlarged. `labels`: "auto", "none", "folder", or the table column that becomes the
    class. `split`: shares of train, valid and test. `keep_originals`: 2, 4 or 8, the largest factor at which the same
    crops are also stored larger, for an upscaler.

    Raises SimulacraError for an impossible value.
    """

    size: GivenSize = "auto"
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
    keep_originals: int = 0
    workers: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.size, str) and not all(side in SIDES for side in self.size):
            raise SimulacraError("data.impossible_size", size=_named(self.size), least=SIDES[0], most=SIDES[-1])
        if not isinstance(self.crop, str) and not 0 < self.crop <= 1:
            raise SimulacraError("data.unknown_crop", crop=self.crop)
        if abs(sum(self.split) - 1) > 1e-6 or min(self.split) < 0 or self.split[0] <= 0:
            raise SimulacraError("data.impossible_split", split=list(self.split))
        if self.resample not in FILTERS:
            raise SimulacraError("data.unknown_filter", resample=self.resample, names=list(FILTERS))
        if self.channels not in CHANNELS:
            raise SimulacraError("data.unknown_channels", channels=self.channels, names=list(CHANNELS))
        for name in ("per_folder", "limit", "workers", "min_side"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise SimulacraError("data.count_below_one", option=f"--{name.replace('_', '-')}", value=value)
        if self.keep_originals not in (0, *FACTORS):
            raise SimulacraError("data.unknown_factor", factor=self.keep_originals, factors=list(FACTORS))
        rgb(self.background)

    def to_json(self) -> dict[str, Any]:
        """The options that decide the result, as JSON values."""
        values = {key: value for key, value in dataclasses.asdict(self).items() if key != "workers"}
        if not self.keep_originals:  # as in datasets that are older than the option
            del values["keep_originals"]
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


class PrepareSettings(TypedDict, total=False):
    """The fields of `PrepareOptions` as keywords of `prepare`; a size may be written in any of three ways."""

    size: Size
    crop: Crop
    channels: Literal["auto", "grey", "rgb", "rgba"]
    background: str
    per_folder: int | None
    limit: int | None
    labels: str
    split: tuple[float, float, float]
    seed: int
    resample: Literal["lanczos", "bicubic", "box"]
    min_side: int
    max_megapixels: float
    drop_duplicates: bool
    keep_originals: int
    workers: int | None


def resolve_options(options: PrepareOptions | None, settings: PrepareSettings) -> PrepareOptions:
    """`options`, or the defaults, changed by `settings`. Raises SimulacraError for an unknown or impossible one."""
    values: dict[str, Any] = dict(settings)
    names = {field.name for field in dataclasses.fields(PrepareOptions)}
    for name in values.keys() - names:
        raise SimulacraError("data.unknown_option", name=name, hint=did_you_mean(name, names))
    if "size" in values:
        values["size"] = as_size(values["size"])
    return dataclasses.replace(options or PrepareOptions(), **values)


def as_size(size: Size) -> GivenSize:
    """A size in any form as (H, W) or "auto". Raises SimulacraError as `parse_size` does."""
    return size if isinstance(size, tuple) else parse_size(str(size))


def parse_size(word: str) -> GivenSize:
    """`64` or `64x48` (width x height) as (H, W); `auto` as it is. Raises SimulacraError for anything else."""
    if word == "auto":
        return "auto"
    match = re.fullmatch(r"\s*(\d{1,5})\s*(?:[x×]\s*(\d{1,5})\s*)?", word, re.ASCII)
    if not match:
        raise SimulacraError("data.not_a_size", size=word)
    width, height = int(match[1]), int(match[2] or match[1])
    if width not in SIDES or height not in SIDES:
        raise SimulacraError("data.impossible_size", size=word, least=SIDES[0], most=SIDES[-1])
    return height, width


def parse_crop(word: str) -> Crop:
    """`centre`, `center`, `none`, or a share such as `0.5`. Raises SimulacraError for anything else."""
    if word in ("centre", "center"):
        return "centre"
    if word == "none":
        return "none"
    try:
        return float(word)
    except ValueError:
        raise SimulacraError("data.unknown_crop", crop=word) from None


def rgb(colour: str) -> tuple[int, int, int]:
    """A colour's name or #rrggbb as (red, green, blue). Raises SimulacraError for anything else."""
    try:
        return ImageColor.getrgb(colour)[:3]
    except ValueError:
        hint = did_you_mean(colour, ImageColor.colormap)
        raise SimulacraError("data.not_a_colour", colour=colour, hint=hint) from None


def _named(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"
