"""One picture through a translator, whatever its mode and size, and what of it is not pixels."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from PIL import Image

from simulacra.data.decoding import ORIENTATION, Data, Recipe, SetAside, open_picture, render, upright_size
from simulacra.errors import SimulacraError
from simulacra.provenance import KEY
from simulacra.settings import Shape
from simulacra.translation.tiles import Pixels, translated
from simulacra.translator import Side, Translator

CHANNELS: dict[int, Literal["grey", "rgb", "rgba"]] = {1: "grey", 3: "rgb", 4: "rgba"}
MOST = 100_000_000  # pixels of a picture, and of what is made of it
PROFILES = {1: b"GRAY", 3: b"RGB ", 4: b"RGB "}  # the colour space that an ICC profile must be of, by channels
EXIF = (0x8769, 0xA002, 0xA003)  # the block with the camera's part, and the width and height in it
# Of a TIFF's tags, most say how its pixels are stored. These say what the picture is, by whom and when.
DESCRIPTIVE = frozenset({*(0x10E, 0x10F, 0x110, 0x11A, 0x11B, 0x128, 0x131, 0x132, 0x13B, 0x13C), 0x8298, 0x8769, 0x8825,
                         *range(0x9C9B, 0x9CA0)})  # fmt: skip
TURNED = re.compile(r'(tiff:Orientation(?:="|>))[0-9]')  # in XMP


@dataclass(frozen=True)
class Metadata:
    """What a PNG is to say of a picture beside its pixels: texts by name, and Pillow's options."""

    texts: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


def translate_image(translator: Translator, image: Image.Image, to: str, *, keep_size: bool = False) -> Image.Image:
    """A picture of the other domain as one of `to`: a, b or a domain's name.

    It is turned upright by its EXIF and given the model's channels; transparency is laid on white unless the model has
    it. Its shorter side becomes the model's, the longer one in proportion; with keep_size it stays as large as it is.
    Raises `SimulacraError` for a picture that cannot be used.
    """
    side = translator.side(to)
    try:
        made = as_image(through(translator, as_pixels(image, translator.shape, keep_size=keep_size), side))
    except SetAside as error:
        raise SimulacraError(f"The picture cannot be used: {said(error)}.") from error
    made.info.update(_profile(image, translator.shape[0]))
    return made


def as_pixels(data: Data, shape: Shape, *, keep_size: bool) -> Pixels:
    """A picture [H, W, C] as a model of `shape` (C, H, W) takes it. Raises SetAside for what cannot be used."""
    width, height = upright_size(data, MOST)
    if not keep_size:
        times = min(shape[1:]) / min(width, height)
        width, height = (max(1, round(length * times)) for length in (width, height))
        if width * height > MOST:
            raise SetAside("too long and thin to be enlarged", f"it would be {width}x{height}")
    wanted = Recipe(size=(height, width), channels=CHANNELS[shape[0]], crop="none", min_side=1, max_pixels=MOST)
    return render(data, wanted)[0]


def through(translator: Translator, pixels: Pixels, to: Side) -> Pixels:
    """`translated`; what is too much for the memory is set aside."""
    try:
        return translated(translator, pixels, to)
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise SetAside("too large for the memory") from error
    except RuntimeError as error:
        if "allocate memory" not in str(error):  # what a processor's allocator says
            raise
        raise SetAside("too large for the memory") from error


def as_image(pixels: Pixels) -> Image.Image:
    """[H, W, C] as grey, RGB or RGBA."""
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def said(error: SetAside) -> str:
    """The reason with its detail."""
    return f"{error.reason} ({error.detail})" if error.detail else error.reason


def metadata(data: Data, pixels: Pixels) -> Metadata:
    """What goes along with the translation of a picture: its profile, EXIF and texts, as they are true of `pixels`.

    A part that is damaged is left out: it does not make a bad picture.
    """
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
    """Its ICC profile, unless that is of another colour space than the result, as a CMYK picture's is."""
    profile = image.info.get("icc_profile")
    if isinstance(profile, bytes) and profile[16:20] == PROFILES[channels]:
        return {"icc_profile": profile}
    return {}


def _exif(image: Image.Image, pixels: Pixels) -> dict[str, bytes]:
    """What its EXIF says of the picture; nothing of how it lies, is stored, or looks when small."""
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
    """A PNG's texts, and the comment of other formats."""
    comment = image.info.get("comment")
    if isinstance(comment, bytes | str) and comment:
        yield "Comment", comment if isinstance(comment, str) else comment.decode("utf-8", "replace")
    for key, text in getattr(image, "text", {}).items():
        if key != KEY and not key.startswith("Raw profile type"):  # ImageMagick's way of writing EXIF, which is kept
            yield key, TURNED.sub(r"\g<1>1", str(text))
