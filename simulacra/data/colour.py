"""Colour profiles: pictures in the colours of a camera or a screen, converted to sRGB, in which all others are."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

SPACES = {"L": "GRAY", "LA": "GRAY", "RGB": "RGB", "RGBA": "RGB", "CMYK": "CMYK"}  # that a profile must have, by mode
ROUNDING = 2  # levels: a profile that moves no colour further is sRGB, written by another program
LATTICE = np.stack(np.meshgrid(*[np.arange(0, 256, 51, dtype=np.uint8)] * 3), -1).reshape(1, -1, 3)


def profile_of(image: Image.Image) -> bytes:
    """The colour profile of an opened picture; empty where it has none, or none that is of use for its pixels."""
    profile = image.info.get("icc_profile")
    return profile if isinstance(profile, bytes) and to_srgb(profile, _pixels_of(image)) else b""


def in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """A picture in L, LA, RGB, RGBA or CMYK whose colours are those of the profile, in sRGB; alpha stays."""
    transform = to_srgb(profile, image.mode)
    if transform is None:
        return image
    colours = image.convert(image.mode.removesuffix("A")) if image.mode in ("LA", "RGBA") else image
    converted = ImageCms.applyTransform(colours, transform)
    assert converted is not None  # as it is not converted in place
    if colours is not image:
        converted.putalpha(image.getchannel("A"))
    return converted


@lru_cache(maxsize=64)
def to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The transform of pixels of a mode to RGB; None for a profile that is sRGB, of other pixels, or damaged.

    A picture with a damaged profile is shown by browsers and viewers as if it had none, and is taken so here.
    """
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if opened.profile.xcolor_space.strip() != SPACES.get(mode):
            return None
        transform = ImageCms.buildTransform(
            opened, ImageCms.createProfile("sRGB"), mode.removesuffix("A"), "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC, flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )  # fmt: skip
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    if mode == "CMYK":
        return transform
    probe = Image.fromarray(LATTICE).convert(mode.removesuffix("A"))
    converted = np.asarray(ImageCms.applyTransform(probe, transform)).astype(int)
    moved = np.abs(converted - np.asarray(probe.convert("RGB")).astype(int)).max()
    return transform if moved > ROUNDING else None


def _pixels_of(image: Image.Image) -> str:
    """The mode of a picture once its palette is looked up and its wide numbers are scaled."""
    if image.mode in ("P", "PA", "RGBa"):
        return "RGB"
    if image.mode in ("1", "La", "I", "F") or image.mode.startswith("I;16"):
        return "L"
    return image.mode
