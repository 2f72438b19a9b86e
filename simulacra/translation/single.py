"""Translation of one picture of any mode and size, and of its metadata."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from PIL import Image

from simulacra.data.colour import profile_of
from simulacra.data.decoding import ORIENTATION, Data, DecodeOptions, decode, open_picture, upright_size
from simulacra.data.rejects import UnusablePicture
from simulacra.errors import SimulacraError
from simulacra.provenance import KEY
from simulacra.settings import Shape
from simulacra.translation.tiles import Pixels, translate_tiled
from simulacra.translator import Side, Translator

CHANNELS: dict[int, Literal["grey", "rgb", "rgba"]] = {1: "grey", 3: "rgb", 4: "rgba"}
MAX_PIXELS = 100_000_000  # of a picture and of its translation
PROFILES = {1: b"GRAY", 3: b"RGB ", 4: b"RGB "}  # required colour space of an ICC profile, by channels
EXIF = (0x8769, 0xA002, 0xA003)  # the camera's block, and the width and height in it
# Most tags of a TIFF describe its storage. These describe the picture: content, author, time.
DESCRIPTIVE = frozenset({*(0x10E, 0x10F, 0x110, 0x11A, 0x11B, 0x128, 0x131, 0x132, 0x13B, 0x13C), 0x8298, 0x8769, 0x8825,
                         *range(0x9C9B, 0x9CA0)})  # fmt: skip
XMP_ORIENTATION = re.compile(r'(tiff:Orientation(?:="|>))[0-9]')


@dataclass(frozen=True)
class Metadata:
    """Metadata of a PNG: texts by name, and Pillow's options such as `exif`."""

    texts: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


def translate_image(translator: Translator, image: Image.Image, to: str, *, keep_size: bool = False) -> Image.Image:
    """A picture of the other domain as one of `to`: a, b or a domain's name.

    The result is upright and has the model's channels; transparency is laid on white unless the model has it. Its shorter
    side is the model's, the longer one in proportion. keep_size: keep the picture's size instead.
    Raises `SimulacraError` for a picture that cannot be used.
    """
    side = translator.side(to)
    try:
        pixels = translate_pixels(translator, to_pixels(image, translator.shape, keep_size=keep_size), side)
    except UnusablePicture as error:
        raise SimulacraError("translation.unusable_picture", reason=str(error)) from error
    result = from_pixels(pixels)
    result.info.update(_profile(image, translator.shape[0]))
    return result


def to_pixels(data: Data, shape: Shape, *, keep_size: bool) -> Pixels:
    """A picture [H, W, C] as input of a model of `shape` (C, H, W). Raises UnusablePicture for one that cannot be used."""
    width, height = upright_size(data, MAX_PIXELS)
    if not keep_size:
        scale = min(shape[1:]) / min(width, height)
        width, height = (max(1, round(length * scale)) for length in (width, height))
        if width * height > MAX_PIXELS:
            raise UnusablePicture("translation.too_long_to_enlarge", f"{width}x{height}")
    options = DecodeOptions(
        size=(height, width), channels=CHANNELS[shape[0]], crop="none", min_side=1, max_pixels=MAX_PIXELS
    )
    return decode(data, options)[0]


def translate_pixels(translator: Translator, pixels: Pixels, to: Side) -> Pixels:
    """`translate_tiled`. Raises UnusablePicture for a picture that does not fit in memory."""
    try:
        return translate_tiled(translator, pixels, to)
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise UnusablePicture("data.too_large_for_memory") from error
    except RuntimeError as error:
        if "allocate memory" not in str(error):  # the sentence of torch's CPU allocator
            raise
        raise UnusablePicture("data.too_large_for_memory") from error


def from_pixels(pixels: Pixels) -> Image.Image:
    """[H, W, C] as grey, RGB or RGBA."""
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def read_metadata(data: Data, pixels: Pixels) -> Metadata:
    """A picture's colour profile, EXIF and texts, adapted to its translation `pixels`; damaged parts are left out."""
    options, texts = dict[str, Any](), dict[str, str]()
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = open_picture(data)
        with contextlib.suppress(Exception):
            options |= _profile(image, pixels.shape[2])
        with contextlib.suppress(Exception):
            options |= _exif(image, pixels)
        texts = dict(_texts(image))
    return Metadata(texts, options)


def _profile(image: Image.Image, channels: int) -> dict[str, bytes]:
    """Its ICC profile, unless the result is not in its colours: converted to sRGB, or of another colour space."""
    profile = image.info.get("icc_profile")
    if profile_of(image):
        return {}
    if isinstance(profile, bytes) and profile[16:20] == PROFILES[channels]:
        return {"icc_profile": profile}
    return {}


def _exif(image: Image.Image, pixels: Pixels) -> dict[str, bytes]:
    """Its EXIF, without orientation, storage and thumbnail."""
    exif = image.getexif()
    for tag in set(exif) - DESCRIPTIVE | {ORIENTATION}:
        exif.pop(tag, None)
    if EXIF[0] in exif:
        camera = exif.get_ifd(EXIF[0])
        for tag, length in zip(EXIF[1:], pixels.shape[1::-1], strict=True):
            if tag in camera:
                camera[tag] = length
    return {"exif": exif.tobytes()} if len(exif) else {}


def _texts(image: Image.Image) -> Iterator[tuple[str, str]]:
    """Texts of a PNG, and the comment of other formats."""
    comment = image.info.get("comment")
    if isinstance(comment, bytes | str) and comment:
        yield "Comment", comment if isinstance(comment, str) else comment.decode("utf-8", "replace")
    for key, text in getattr(image, "text", {}).items():
        if key != KEY and not key.startswith("Raw profile type"):  # ImageMagick's copy of the EXIF
            yield key, XMP_ORIENTATION.sub(r"\g<1>1", str(text))
