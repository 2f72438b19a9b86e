"""Decode one picture of any format: upright, cropped and resized, or `UnusablePicture` with the reason."""

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

from simulacra.data.colour import in_srgb, profile_of
from simulacra.data.rejects import UnusablePicture

Crop = float | Literal["centre", "none"]
Box = tuple[float, float, float, float]
Data = bytes | NDArray[np.uint8] | Image.Image  # a file's bytes, pixels [H, W] or [H, W, C], or a Pillow image

# Without EPS: Pillow would hand such a file to Ghostscript, which executes it.
FORMATS = (
    *("AVIF", "BMP", "DDS", "DIB", "GIF", "HEIF", "ICNS", "ICO", "JPEG", "JPEG2000", "MPO"),
    *("PCX", "PNG", "PPM", "QOI", "SGI", "TGA", "TIFF", "WEBP"),
)
MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*")
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")
GREY_MODES = ("1", "L", "LA", "La", "I", "F")
ANIMATED_FORMATS = ("GIF", "WEBP", "PNG", "TIFF", "AVIF")
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
FILTERS = {
    "lanczos": Image.Resampling.LANCZOS,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
}
OVERSAMPLING = 2.0  # least input pixels per output pixel, along a side, of a JPEG that is decoded at reduced size


@dataclass(frozen=True, kw_only=True)
class DecodeOptions:
    """How pictures are decoded. `size` is (H, W); `background`, an RGB colour, shows through transparent pixels.

    Pictures with a side below `min_side` or with more than `max_pixels` pixels are unusable.
    """

    size: tuple[int, int]
    channels: Literal["grey", "rgb", "rgba"]
    crop: Crop = "centre"
    background: tuple[int, int, int] = (255, 255, 255)
    resample: str = "lanczos"
    min_side: int = 8
    max_pixels: int = 100_000_000


class ImageInfo(NamedTuple):
    """Properties of a picture before it was prepared; `width` and `height` after it was turned upright.

    `transparent`: whether any pixel is. `converted`: whether its colour profile was another one than sRGB.
    """

    width: int
    height: int
    mode: str
    format: str
    rotated: bool = False
    animated: bool = False
    transparent: bool = False
    converted: bool = False


def crop_box(width: int, height: int, size: tuple[int, int], crop: Crop) -> Box:
    """Crop box (left, top, right, bottom) in pixels for pictures of `size` (H, W).

    `crop`: "none" keeps the whole picture, to be squeezed; "centre" the largest centred rectangle with the aspect of
    `size`; a fraction first takes the central part with that share of the width and of the height.
    """
    if crop == "none":
        return 0.0, 0.0, float(width), float(height)
    fraction = 1.0 if crop == "centre" else float(crop)
    aspect = size[1] / size[0]
    wide = min(width * fraction, height * fraction * aspect)
    tall = min(height * fraction, wide / aspect)
    left, top = (width - wide) / 2, (height - tall) / 2
    return max(0.0, left), max(0.0, top), min(float(width), left + wide), min(float(height), top + tall)


@contextlib.contextmanager
def _guarded() -> Iterator[None]:
    """Turn every exception of a decoder into UnusablePicture, and hide its warnings."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UnusablePicture:
        raise
    except MemoryError as error:
        raise UnusablePicture("data.too_large_for_memory") from error
    except Exception as error:  # decoders raise any exception at all on a damaged file
        raise _explained(error) from error


@_guarded()
def decode(data: Data, options: DecodeOptions) -> tuple[NDArray[np.uint8], ImageInfo]:
    """Decode a picture into [h, w, c] uint8 in sRGB; returns it with the properties of the original.

    Raises UnusablePicture, and nothing else, whatever the bytes are.
    """
    image = open_picture(data)
    info, orientation = _inspected(image, options)
    profile = profile_of(image)
    image = _reduced(image, options, orientation, grey=not profile)
    image.load()
    image = in_srgb(image if profile and image.mode == "CMYK" else plain(image), profile)
    info = info._replace(transparent=_is_transparent(image), converted=bool(profile))
    if orientation in UPRIGHT:
        image = image.transpose(UPRIGHT[orientation])
    return _fitted(image, options), info


@_guarded()
def upright_size(data: Data, max_pixels: int) -> tuple[int, int]:
    """Width and height of a picture once it is upright. Raises UnusablePicture, also for more than `max_pixels`."""
    options = DecodeOptions(size=(1, 1), channels="rgb", min_side=1, max_pixels=max_pixels)
    info, _ = _inspected(open_picture(data), options)
    return info.width, info.height


def is_grey(data: bytes | NDArray[np.uint8]) -> bool:
    """Whether the header says that the picture has no colour; True for an unreadable one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return open_picture(data).mode.split(";")[0] in GREY_MODES
    except Exception:
        return True


def open_picture(data: Data) -> Image.Image:
    """Open a picture; only its header is read. Raises UnusablePicture for other content, else what Pillow raises."""
    if isinstance(data, Image.Image):
        try:
            return ImageOps.exif_transpose(data)  # a copy: decoding changes an image
        except (ValueError, SyntaxError, struct.error, KeyError, TypeError):  # a broken EXIF block
            return data.copy()
    if isinstance(data, np.ndarray):
        return Image.fromarray(data[..., 0] if data.ndim == 3 and data.shape[-1] == 1 else data)
    if not data:
        raise UnusablePicture("data.empty_file")
    if data[4:8] == b"ftyp" and data[8:12] in HEIF_BRANDS:
        try:
            from pillow_heif import register_heif_opener
        except ImportError as error:
            raise UnusablePicture("data.heic_needs_extra") from error
        register_heif_opener()
    try:
        Image.init()
        return Image.open(io.BytesIO(data), formats=[name for name in FORMATS if name in Image.OPEN])
    except UnidentifiedImageError as error:
        if data.startswith(MAGIC) or data[4:8] == b"ftyp":
            raise UnusablePicture("data.damaged_picture") from error
        raise UnusablePicture("data.not_a_picture") from error


def plain(image: Image.Image) -> Image.Image:
    """Convert to 8-bit L, LA, RGB or RGBA. 16-bit and float pictures are scaled, never clipped."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _scaled(image)
    if "transparency" in image.info or image.mode in ("PA", "RGBa"):
        return image.convert("RGBA")
    if image.mode == "La":
        return image.convert("LA")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in ("L", "LA", "RGB", "RGBA") else image.convert("RGB")


def _inspected(image: Image.Image, options: DecodeOptions) -> tuple[ImageInfo, int]:
    """Properties and EXIF orientation. Raises UnusablePicture for a picture that is too large or too small."""
    width, height = image.size
    if width * height > options.max_pixels:
        raise UnusablePicture("data.too_many_pixels", f"{width}x{height}", millions=f"{options.max_pixels / 1e6:g}")
    if min(width, height) < options.min_side:
        raise UnusablePicture("data.too_small", f"{width}x{height}", side=options.min_side)
    if image.format not in ("JPEG", "MPO"):
        image.load()  # before EXIF: Pillow loads some formats to find it, and raises for a damaged file only once
    try:
        orientation = int(image.getexif().get(ORIENTATION, 1)) if image.format else 1
    except Exception:  # a picture with a broken EXIF block is usable
        orientation = 1
    if orientation in (5, 6, 7, 8):
        width, height = height, width
    return ImageInfo(
        width,
        height,
        image.mode,
        image.format or "array",
        rotated=orientation in UPRIGHT,
        animated=image.format in ANIMATED_FORMATS and bool(getattr(image, "is_animated", False)),
    ), orientation


def _is_transparent(image: Image.Image) -> bool:
    """Whether any pixel of a plain picture is; many programs write an alpha that is full everywhere."""
    return image.mode in ("LA", "RGBA") and image.getchannel("A").getextrema() != (255, 255)


def _reduced(image: Image.Image, options: DecodeOptions, orientation: int, *, grey: bool) -> Image.Image:
    """Let a JPEG be decoded at 1/2, 1/4 or 1/8 where OVERSAMPLING still holds. grey: without its colours, too, if unused."""
    if image.format in ("JPEG", "MPO"):
        width, height = image.size
        size = options.size[::-1] if orientation in (5, 6, 7, 8) else options.size
        left, top, right, bottom = crop_box(width, height, size, options.crop)
        least = (
            math.ceil(OVERSAMPLING * size[1] * width / (right - left)),
            math.ceil(OVERSAMPLING * size[0] * height / (bottom - top)),
        )
        mode = "L" if grey and options.channels == "grey" and image.mode == "RGB" else image.mode
        image.draft(mode, least)
    return image


def _scaled(image: Image.Image) -> Image.Image:
    """Wide numbers as 8 bits: white is the least of 1 (for floats), 255 and 65535 that no pixel exceeds."""
    pixels = np.asarray(image).astype(np.float64)
    low, high = float(pixels.min()), float(pixels.max())
    if not (math.isfinite(low) and math.isfinite(high)) or low < 0 or high > 65535:
        raise UnusablePicture("data.not_brightnesses", f"from {low:g} to {high:g}")
    if image.mode.startswith("I;16"):
        white = 65535
    else:
        white = 1 if image.mode == "F" and high <= 1 else 255 if high <= 255 else 65535
    return Image.fromarray(np.rint(pixels * (255 / white)).astype(np.uint8))


def _fitted(image: Image.Image, options: DecodeOptions) -> NDArray[np.uint8]:
    """Crop, resize and convert to the channels: [h, w, c]."""
    box = crop_box(*image.size, options.size, options.crop)
    # Pillow resizes with premultiplied alpha, so that the colour of invisible pixels does not bleed in.
    small = image.resize(options.size[::-1], FILTERS[options.resample], box=box, reducing_gap=3.0)
    if options.channels == "rgba":
        return np.asarray(small.convert("RGBA"))
    if small.mode in ("LA", "RGBA"):
        ground = Image.new("RGBA", small.size, (*options.background, 255))
        small = Image.alpha_composite(ground, small.convert("RGBA"))
    pixels = np.asarray(small.convert("L" if options.channels == "grey" else "RGB"))
    return pixels.reshape(*pixels.shape[:2], -1)


def _explained(error: Exception) -> UnusablePicture:
    """The reason behind a decoder's exception."""
    text = str(error)
    if isinstance(error, Image.DecompressionBombError):
        return UnusablePicture("data.decompression_bomb", text)
    if any(word in text.lower() for word in ("truncated", "broken data stream", "premature")):
        return UnusablePicture("data.truncated_picture", text)
    return UnusablePicture("data.damaged_picture", text or type(error).__name__)
