"""One picture from whatever a file holds: upright, cropped and resized, or set aside with its reason."""

from __future__ import annotations

import contextlib
import io
import math
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

Crop = float | Literal["centre", "none"]
Box = tuple[float, float, float, float]

# No EPS among them: Pillow would hand the file to Ghostscript, which is a program for running programs.
FORMATS = (
    *("AVIF", "BMP", "DDS", "DIB", "GIF", "HEIF", "ICNS", "ICO", "JPEG", "JPEG2000", "MPO"),
    *("PCX", "PNG", "PPM", "QOI", "SGI", "TGA", "TIFF", "WEBP"),
)
MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*")
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")
GREY_MODES = ("1", "L", "LA", "La", "I", "F")
MAY_MOVE = ("GIF", "WEBP", "PNG", "TIFF", "AVIF")
ORIENTATION = 0x0112  # the EXIF tag
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SAMPLINGS = {
    "lanczos": Image.Resampling.LANCZOS,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
}
OVERSAMPLING = 2.0  # a JPEG decoded at a fraction of its size keeps at least this many pixels per pixel wanted


class SetAside(Exception):
    """This picture cannot be used. `reason` is shared by all with that fault; `detail` is its own."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How every picture of a set is made. `size` is (H, W), `background` an RGB colour."""

    size: tuple[int, int]
    channels: Literal["grey", "rgb", "rgba"]
    crop: Crop = "centre"
    background: tuple[int, int, int] = (255, 255, 255)
    resample: str = "lanczos"
    min_side: int = 8
    max_pixels: int = 100_000_000


class Facts(NamedTuple):
    """What a picture was before it was prepared; width and height as it is seen, upright."""

    width: int
    height: int
    mode: str
    format: str
    rotated: bool = False
    animated: bool = False
    transparent: bool = False


def crop_box(width: int, height: int, size: tuple[int, int], crop: Crop) -> Box:
    """The part of a picture to keep, as (left, top, right, bottom) in pixels.

    "none" is all of it, squeezed to `size` (H, W) later. "centre" is the largest centred rectangle with the
    aspect of `size`. A fraction takes the central part of that share of the width and of the height first.
    """
    if crop == "none":
        return 0.0, 0.0, float(width), float(height)
    fraction = 1.0 if crop == "centre" else float(crop)
    aspect = size[1] / size[0]
    wide = min(width * fraction, height * fraction * aspect)
    tall = min(height * fraction, wide / aspect)
    left, top = (width - wide) / 2, (height - tall) / 2
    return max(0.0, left), max(0.0, top), min(float(width), left + wide), min(float(height), top + tall)


Data = bytes | NDArray[np.uint8] | Image.Image  # a file's bytes; pixels [H, W] or [H, W, C]; a picture as Pillow has it


@contextlib.contextmanager
def _guarded() -> Iterator[None]:
    """Whatever a decoder raises becomes SetAside, and what it warns of is not said."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks about odd files: the facts and reasons say it better
            yield
    except SetAside:
        raise
    except MemoryError as error:
        raise SetAside("too large for the memory") from error
    except Exception as error:  # decoders answer a damaged file with any exception at all
        raise _explained(error) from error


@_guarded()
def render(data: Data, recipe: Recipe) -> tuple[NDArray[np.uint8], Facts]:
    """A picture made into [h, w, c] uint8, with the original's facts.

    Raises SetAside, and nothing else, whatever the bytes are.
    """
    image = open_picture(data)
    facts, orientation = _facts(image, recipe)
    image = _reduced(image, recipe, orientation)
    image.load()
    image = plain(image)
    if orientation in UPRIGHT:
        image = image.transpose(UPRIGHT[orientation])
    return _fitted(image, recipe), facts


@_guarded()
def upright_size(data: Data, max_pixels: int) -> tuple[int, int]:
    """Width and height of a picture as it is seen. Raises SetAside for what is none, or has more pixels than that."""
    facts, _ = _facts(open_picture(data), Recipe(size=(1, 1), channels="rgb", min_side=1, max_pixels=max_pixels))
    return facts.width, facts.height


def is_grey(data: bytes | NDArray[np.uint8]) -> bool:
    """Whether the header promises a picture without colour; an unreadable one has no say (True)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return open_picture(data).mode.split(";")[0] in GREY_MODES
    except Exception:
        return True


def open_picture(data: Data) -> Image.Image:
    """Read the header only. SetAside for what holds no picture; other errors as Pillow raises them."""
    if isinstance(data, Image.Image):
        try:
            return ImageOps.exif_transpose(data)  # a copy: Pillow changes a picture as it decodes it
        except (ValueError, SyntaxError, struct.error, KeyError, TypeError):  # a broken EXIF block
            return data.copy()
    if isinstance(data, np.ndarray):
        return Image.fromarray(data[..., 0] if data.ndim == 3 and data.shape[-1] == 1 else data)
    if not data:
        raise SetAside("empty file")
    if data[4:8] == b"ftyp" and data[8:12] in HEIF_BRANDS:
        try:
            from pillow_heif import register_heif_opener
        except ImportError as error:
            raise SetAside("HEIC: install simulacra[heif] to read it") from error
        register_heif_opener()
    try:
        return Image.open(io.BytesIO(data), formats=[name for name in FORMATS if name in _known_formats()])
    except UnidentifiedImageError as error:
        started_well = data.startswith(MAGIC) or data[4:8] == b"ftyp"
        raise SetAside("damaged" if started_well else "not a picture inside") from error


def plain(image: Image.Image) -> Image.Image:
    """The same picture as 8-bit L, LA, RGB or RGBA. 16-bit and float pictures are scaled, never clipped."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _scaled(image)
    if "transparency" in image.info or image.mode in ("PA", "RGBa"):
        return image.convert("RGBA")
    if image.mode == "La":
        return image.convert("LA")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in ("L", "LA", "RGB", "RGBA") else image.convert("RGB")


def _known_formats() -> dict[str, object]:
    Image.init()
    return dict(Image.OPEN)


def _facts(image: Image.Image, recipe: Recipe) -> tuple[Facts, int]:
    width, height = image.size
    if width * height > recipe.max_pixels:
        raise SetAside(f"more than {recipe.max_pixels / 1e6:g} million pixels", f"{width}x{height}")
    if min(width, height) < recipe.min_side:
        raise SetAside(f"smaller than {recipe.min_side} pixels", f"{width}x{height}")
    if image.format not in ("JPEG", "MPO"):
        image.load()  # before EXIF: for some formats Pillow loads to find it, and such a failure shows only once
    try:
        orientation = int(image.getexif().get(ORIENTATION, 1)) if image.format else 1
    except Exception:  # a broken EXIF block does not make a broken picture
        orientation = 1
    if orientation in (5, 6, 7, 8):
        width, height = height, width
    return Facts(
        width,
        height,
        image.mode,
        image.format or "array",
        rotated=orientation in UPRIGHT,
        animated=image.format in MAY_MOVE and bool(getattr(image, "is_animated", False)),
        transparent="A" in image.mode or "a" in image.mode or "transparency" in image.info,
    ), orientation


def _reduced(image: Image.Image, recipe: Recipe, orientation: int) -> Image.Image:
    """Let a JPEG be decoded at 1/2, 1/4 or 1/8 where that still leaves OVERSAMPLING times what is wanted."""
    if image.format in ("JPEG", "MPO"):
        width, height = image.size
        size = recipe.size[::-1] if orientation in (5, 6, 7, 8) else recipe.size
        left, top, right, bottom = crop_box(width, height, size, recipe.crop)
        wanted = (
            math.ceil(OVERSAMPLING * size[1] * width / (right - left)),
            math.ceil(OVERSAMPLING * size[0] * height / (bottom - top)),
        )
        mode = "L" if recipe.channels == "grey" and image.mode == "RGB" else image.mode
        image.draft(mode, wanted)
    return image


def _scaled(image: Image.Image) -> Image.Image:
    """Wide numbers as 8 bits: the least of 1 (for floats), 255 and 65535 that holds them all is white."""
    pixels = np.asarray(image).astype(np.float64)
    low, high = float(pixels.min()), float(pixels.max())
    if not (math.isfinite(low) and math.isfinite(high)) or low < 0 or high > 65535:
        raise SetAside("its numbers are not brightnesses", f"from {low:g} to {high:g}")
    if image.mode.startswith("I;16"):
        white = 65535
    else:
        white = 1 if image.mode == "F" and high <= 1 else 255 if high <= 255 else 65535
    return Image.fromarray(np.rint(pixels * (255 / white)).astype(np.uint8))


def _fitted(image: Image.Image, recipe: Recipe) -> NDArray[np.uint8]:
    box = crop_box(*image.size, recipe.size, recipe.crop)
    # Pillow resizes with alpha premultiplied, so that the colour of what is invisible does not bleed in.
    small = image.resize(recipe.size[::-1], SAMPLINGS[recipe.resample], box=box, reducing_gap=3.0)
    if recipe.channels == "rgba":
        return np.asarray(small.convert("RGBA"))
    if small.mode in ("LA", "RGBA"):
        ground = Image.new("RGBA", small.size, (*recipe.background, 255))
        small = Image.alpha_composite(ground, small.convert("RGBA"))
    pixels = np.asarray(small.convert("L" if recipe.channels == "grey" else "RGB"))
    return pixels.reshape(*pixels.shape[:2], -1)


def _explained(error: Exception) -> SetAside:
    text = str(error)
    if isinstance(error, Image.DecompressionBombError):
        return SetAside("a decompression bomb", text)
    if any(word in text.lower() for word in ("truncated", "broken data stream", "premature")):
        return SetAside("cut off", text)
    return SetAside("damaged", text or type(error).__name__)
