"""A prepared data set: one memory-mapped array of pictures with labels, splits and a content hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulacra.errors import SimulacraError
from simulacra.files import read_json

FORMAT = 1
MARK = "simulacra data set"
PAIR = "simulacra pair"  # a folder of two data sets, `a` and `b`: the domains between which pictures are translated
SPLITS = ("train", "valid", "test")
HASHED_AT_ONCE = 1 << 26  # bytes


@dataclass(frozen=True, eq=False)
class Dataset:
    """A prepared data set: packed pictures, memory-mapped.

    `images` is [N, H, W, C] uint8 with C in {1, 3, 4}, ordered train | valid | test. `labels` is None, [N]
    int64 (numbers of `classes`) or [N, A] float32 in [0, 1] (a column for each of `attributes`). A view made
    by `split` keeps the hash of the set it was cut from. Of a pair this is the first domain, and `others` the second;
    `domains` are their names.
    """

    name: str
    path: Path | None
    images: NDArray[np.uint8]
    labels: NDArray[Any] | None
    classes: tuple[str, ...]
    attributes: tuple[str, ...]
    splits: Mapping[str, int]
    hash: str
    others: Dataset | None = None
    domains: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one picture as the networks see it: (C, H, W)."""
        height, width, channels = self.images.shape[1:]
        return channels, height, width

    def split(self, name: str) -> Dataset:
        """The part called "train", "valid" or "test", as a view; SimulacraError if unknown or empty."""
        if name not in self.splits:
            raise SimulacraError(f"{self.name} has no part {name!r}; its parts are {', '.join(self.splits)}.")
        start = 0
        for part, count in self.splits.items():
            if part == name:
                break
            start += count
        if not count:
            raise SimulacraError(f"The part {name!r} of {self.name} is empty: prepare it with a larger one.")
        chosen = slice(start, start + count)
        labels = None if self.labels is None else self.labels[chosen]
        splits = {part: count if part == name else 0 for part in self.splits}
        others = self.others and self.others.split(name)
        return replace(self, images=self.images[chosen], labels=labels, splits=splits, others=others)


def content_hash(
    images: NDArray[np.uint8],
    labels: NDArray[Any] | None,
    classes: tuple[str, ...] = (),
    attributes: tuple[str, ...] = (),
) -> str:
    """The sha256 of shape, pictures [N, H, W, C], labels and their names: equal for equal data."""
    told = {
        "shape": images.shape,
        "labels": None if labels is None else [str(labels.dtype), labels.shape],
        "classes": classes,
        "attributes": attributes,
    }
    digest = hashlib.sha256(json.dumps(told).encode())
    step = max(1, HASHED_AT_ONCE // max(1, images[:1].nbytes))
    for start in range(0, len(images), step):
        digest.update(np.ascontiguousarray(images[start : start + step]).data)
    if labels is not None:
        digest.update(np.ascontiguousarray(labels).data)
    return digest.hexdigest()


def pair_hash(one: str, other: str) -> str:
    """The hash of a pair, from its domains'."""
    return hashlib.sha256(f"{one} {other}".encode()).hexdigest()


def verify(dataset: Dataset) -> None:
    """Recompute the hash of a whole data set; SimulacraError if a single byte is not what was prepared."""
    now = content_hash(dataset.images, dataset.labels, dataset.classes, dataset.attributes)
    if dataset.others is not None:
        verify(dataset.others)
        now = pair_hash(now, dataset.others.hash)
    if now != dataset.hash:
        raise SimulacraError(f"{dataset.path or dataset.name} has changed since then: prepare it again.")


def is_prepared(path: Path) -> bool:
    """Whether `path` is a folder that `prepare` finished (its contents are not checked)."""
    return _what(path) in (MARK, PAIR)


def is_pair(path: Path) -> bool:
    """Whether `path` is such a folder, of a pair of domains."""
    return _what(path) == PAIR


def _what(path: Path) -> str | None:
    try:
        told = json.loads((path / "data.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return told.get("what") if isinstance(told, dict) else None


def open_dataset(source: str | Path) -> Dataset:
    """Open a prepared folder, or the built-in set "peeps", at once: pictures are mapped, not read.

    Raises SimulacraError for a path that is missing, holds raw pictures, is half-written or damaged.
    """
    if source == "peeps":
        from simulacra.data.portraits import peeps

        return peeps()
    path = Path(source)
    if not path.exists():
        raise SimulacraError(f"There is no data set at {path}. Make one: simulacra prepare PICTURES {path}")
    if not is_prepared(path):
        if path.is_dir() and ((path / "data.json").exists() or (path / "images.npy").exists()):
            raise SimulacraError(f"{path} is not a whole data set: delete it and prepare it again.")
        raise SimulacraError(
            f"{path} holds no prepared data set. If it holds pictures, prepare them first: "
            f"simulacra prepare {path} {path.name or 'faces'}-64 --size 64"
        )
    told = read_json(path / "data.json")
    return _opened_pair(path, told) if told["what"] == PAIR else _opened(path, told)


def _opened_pair(path: Path, told: dict[str, Any]) -> Dataset:
    a, b = (open_dataset(path / domain) for domain in "ab")
    digest = pair_hash(a.hash, b.hash)
    if digest != told.get("hash") or a.shape != b.shape:
        raise SimulacraError(f"{path} is damaged (its domains do not fit data.json): prepare it again.")
    name, domains = str(told["name"]), tuple(map(str, told["domains"]))
    return replace(
        a, name=name, path=path, labels=None, classes=(), attributes=(), hash=digest, others=b, domains=domains
    )


def _opened(path: Path, told: dict[str, Any]) -> Dataset:
    if told.get("format") != FORMAT:
        raise SimulacraError(f"{path} has format {told.get('format')}, not {FORMAT}: prepare it again.")
    damaged = SimulacraError(f"{path} is damaged (its files do not fit data.json): prepare it again.")
    try:
        shape, splits = tuple(told["shape"]), {part: int(told["splits"][part]) for part in SPLITS}
        classes, attributes = tuple(told["classes"]), tuple(told["attributes"])
        images = np.load(path / "images.npy", mmap_mode="r", allow_pickle=False)
        labels = np.load(path / "labels.npy", allow_pickle=False) if classes or attributes else None
        size = (path / "images.npy").stat().st_size
        name, digest = str(told["name"]), str(told["hash"])
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise damaged from error
    if images.dtype != np.uint8 or images.shape != shape or images.offset + images.nbytes != size:
        raise damaged
    if len(shape) != 4 or sum(splits.values()) != shape[0]:
        raise damaged
    if not _labels_fit(labels, shape[0], classes, attributes):
        raise damaged
    return Dataset(name, path, images, labels, classes, attributes, splits, digest)


def _labels_fit(labels: NDArray[Any] | None, n: int, classes: tuple[str, ...], attributes: tuple[str, ...]) -> bool:
    if labels is None:
        return True
    if classes:
        known = (labels >= 0) & (labels < len(classes))
        return labels.dtype == np.int64 and labels.shape == (n,) and bool(known.all())
    return labels.dtype == np.float32 and labels.shape == (n, len(attributes))
