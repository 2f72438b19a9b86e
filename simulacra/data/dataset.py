"""Prepared data: a `Dataset` of one domain (pictures, labels, splits, content hash), or a `Pair` of two of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from simulacra.data.joined import JoinedImages
from simulacra.errors import SimulacraError

SPLITS = ("train", "valid", "test")
HASH_CHUNK = 1 << 26  # bytes


@dataclass(frozen=True, eq=False)
class Dataset:
    """A prepared dataset of one domain; its pictures are memory-mapped, or read when indexed (see `JoinedImages`).

    `images`: [N, H, W, C] uint8 with C in {1, 3, 4}, ordered train | valid | test. `labels`: None, [N] int64 (indices
    into `classes`) or [N, A] float32 in [0, 1] (one column per entry of `attributes`). A view returned by `split`
    keeps the hash of the whole dataset.
    """

    WHAT: ClassVar = "simulacra data set"  # the entry `what` of its data.json

    name: str
    path: Path | None
    images: NDArray[np.uint8]
    labels: NDArray[Any] | None
    classes: tuple[str, ...]
    attributes: tuple[str, ...]
    splits: Mapping[str, int]
    hash: str
    address: str = ""  # of a dataset that is not on this machine

    @property
    def source(self) -> str:
        """What opens it again: its path or address, or the name of a built-in one."""
        return str(self.path.resolve()) if self.path else self.address or self.name

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one picture in a network: (C, H, W)."""
        height, width, channels = self.images.shape[1:]
        return channels, height, width

    def has(self, part: str) -> bool:
        """Whether the part "train", "valid" or "test" holds any pictures."""
        return self.splits.get(part, 0) > 0

    def split(self, name: str) -> Dataset:
        """The part "train", "valid" or "test" as a view. Raises SimulacraError if it is unknown or empty."""
        if name not in self.splits:
            raise SimulacraError("data.unknown_part", name=self.name, part=name, parts=list(self.splits))
        if not self.has(name):
            raise SimulacraError("data.empty_part", name=self.name, part=name)
        parts = list(self.splits)
        start = sum(self.splits[part] for part in parts[: parts.index(name)])
        rows = slice(start, start + self.splits[name])
        labels = None if self.labels is None else self.labels[rows]
        splits = {part: count if part == name else 0 for part, count in self.splits.items()}
        return replace(self, images=self.images[rows], labels=labels, splits=splits)


@dataclass(frozen=True, eq=False)
class Pair:
    """Two domains of pictures for a GAN that translates between them; their pictures do not correspond.

    `domains` are the names of `a` and `b`, which have the same picture shape. A view returned by `split` keeps the
    hash of the whole pair. `len` counts the pictures of `a`, and so do epochs.
    """

    WHAT: ClassVar = "simulacra pair"  # the entry `what` of its data.json; its folder holds the datasets `a` and `b`

    name: str
    path: Path | None
    a: Dataset
    b: Dataset
    domains: tuple[str, str]
    hash: str

    def __len__(self) -> int:
        return len(self.a)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one picture of either domain in a network: (C, H, W)."""
        return self.a.shape

    def has(self, part: str) -> bool:
        """Whether the part "train", "valid" or "test" holds pictures of both domains."""
        return self.a.has(part) and self.b.has(part)

    def split(self, name: str) -> Pair:
        """The part "train", "valid" or "test" of both domains as a view. Raises SimulacraError if one has none."""
        if name in self.a.splits and not self.has(name):
            raise SimulacraError("data.empty_part", name=self.name, part=name)
        return replace(self, a=self.a.split(name), b=self.b.split(name))


def content_hash(
    images: NDArray[np.uint8],
    labels: NDArray[Any] | None,
    classes: tuple[str, ...] = (),
    attributes: tuple[str, ...] = (),
) -> str:
    """SHA-256 of shape, pictures [N, H, W, C], labels and their names."""
    header = {
        "shape": images.shape,
        "labels": None if labels is None else [str(labels.dtype), labels.shape],
        "classes": classes,
        "attributes": attributes,
    }
    digest = hashlib.sha256(json.dumps(header).encode())
    rows = max(1, HASH_CHUNK // max(1, images[:1].nbytes))
    for start in range(0, len(images), rows):
        digest.update(np.ascontiguousarray(images[start : start + rows]).data)
    if labels is not None:
        digest.update(np.ascontiguousarray(labels).data)
    return digest.hexdigest()


def pair_hash(a: str, b: str) -> str:
    """Hash of a pair, from those of its domains."""
    return hashlib.sha256(f"{a} {b}".encode()).hexdigest()


def verify(data: Dataset | Pair) -> None:
    """Recompute the hash of a whole dataset or pair. Raises SimulacraError if a byte differs from what was prepared."""
    if isinstance(data, Pair):
        verify(data.a)
        verify(data.b)
        actual = pair_hash(data.a.hash, data.b.hash)
    elif isinstance(images := cast(Any, data.images), JoinedImages):
        images.verify()
        actual = data.hash  # its files were compared with it when it was opened
    else:
        actual = content_hash(data.images, data.labels, data.classes, data.attributes)
    if actual != data.hash:
        raise SimulacraError("data.changed", data=data.path or data.name)
