"""The built-in dataset `peeps`: 3,000 drawn people, 64 px, with exact attributes, which the drawings were made from.

The drawings are Open Peeps by Pablo Stanley (CC0 1.0); `scripts/peeps/` makes the files this module reads.
"""

from __future__ import annotations

import csv
import io
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simulacra.data.dataset import Dataset, content_hash

SIZE = 64
LONG_HAIR = frozenset({"bob", "flip", "fringe", "ponytail", "straight", "waves"})
SMILING = frozenset({"awe", "content", "grin", "smile"})
# Column of the table -> the word before the colon in the names of its attributes ("hair: red").
PREFIXES = {
    "hair": "style",
    "hair_color": "hair",
    "face": "face",
    "beard": "beard",
    "glasses": "glasses",
    "skin": "skin",
    "clothes": "clothes",
    "background": "background",
}


def _read(name: str) -> bytes:
    return (resources.files("simulacra") / "data" / "peeps" / name).read_bytes()


@lru_cache(maxsize=1)
def _rows() -> tuple[dict[str, str], ...]:
    return tuple(csv.DictReader(io.StringIO(_read("peeps.csv").decode("utf-8"))))


def table() -> list[dict[str, str]]:
    """The choices for each person: row i describes picture i; "none" where there is nothing to see."""
    return [dict(row) for row in _rows()]


def _images(count: int) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(_read("peeps.webp"))) as picture:
        sheet = np.asarray(picture.convert("RGB"))
    rows, columns = sheet.shape[0] // SIZE, sheet.shape[1] // SIZE
    tiles = sheet.reshape(rows, SIZE, columns, SIZE, 3).swapaxes(1, 2).reshape(-1, SIZE, SIZE, 3)
    return np.ascontiguousarray(tiles[:count])  # [N, 64, 64, 3]


def _labels(rows: tuple[dict[str, str], ...]) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Names [A] and labels [N, A]: five summaries, then every choice of every column as 0 or 1."""
    columns = {
        "glasses": [row["glasses"] != "none" for row in rows],
        "beard": [row["beard"] != "none" for row in rows],
        "smile": [row["face"] in SMILING for row in rows],
        "long hair": [row["hair"] in LONG_HAIR for row in rows],
        "bald": [row["hair"] == "bald" for row in rows],
    }
    for column, prefix in PREFIXES.items():
        for choice in sorted({row[column] for row in rows} - {"none"}):
            columns[f"{prefix}: {choice}"] = [row[column] == choice for row in rows]
    return tuple(columns), np.array(list(columns.values()), dtype=np.float32).T.copy()  # [N, A]


@lru_cache(maxsize=1)
def peeps() -> Dataset:
    """The dataset: images [3000, 64, 64, 3] uint8 and labels [3000, A] of 0 and 1, both read-only."""
    rows = _rows()
    images = _images(len(rows))
    attributes, labels = _labels(rows)
    images.setflags(write=False)
    labels.setflags(write=False)
    held_out = len(rows) // 10
    return Dataset(
        name="peeps",
        path=None,
        images=images,
        labels=labels,
        classes=(),
        attributes=attributes,
        splits={"train": len(rows) - 2 * held_out, "valid": held_out, "test": held_out},
        hash=content_hash(images, labels, (), attributes),
    )
