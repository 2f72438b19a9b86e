"""Provenance of PNGs: a JSON record of the model, the seed and the settings, written into a picture and read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, PngImagePlugin

from simulacra.files import atomic_file

KEY = "simulacra"  # of the PNG text chunk


def read_provenance(file: Path | BinaryIO) -> dict[str, Any] | None:
    """The record in a picture; None without one, and for a file that is not a picture."""
    try:
        with Image.open(file) as image:
            # `text` decodes the whole picture: the chunk may follow the pixels
            text = image.info.get(KEY) or getattr(image, "text", {}).get(KEY)
        record = json.loads(text) if isinstance(text, str) else None
    except (OSError, ValueError, SyntaxError, RecursionError, Image.DecompressionBombError):
        return None
    return record if isinstance(record, dict) else None


def png_info(record: Mapping[str, Any] | None, texts: Mapping[str, str] | None = None) -> PngImagePlugin.PngInfo:
    """PNG text chunks for Pillow's `pnginfo`: `texts`, and the record unless it is None."""
    info = PngImagePlugin.PngInfo()
    for key, value in {**(texts or {}), **({} if record is None else {KEY: json.dumps(record)})}.items():
        info.add_text(key, value)
    return info


def write_png(
    image: Image.Image, path: Path, record: Mapping[str, Any], *, texts: Mapping[str, str] | None = None, **options: Any
) -> None:
    """Write a PNG with its record, which `read_provenance` returns.

    texts: further text chunks. options: Pillow's for a PNG, such as `exif`.
    """
    with atomic_file(path) as file:
        image.save(file, "PNG", pnginfo=png_info(record, texts), **options)
