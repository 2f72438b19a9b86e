"""Open prepared data: a folder says in its data.json whether it holds a `Dataset` or a `Pair`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulacra.data import joined, shard_format
from simulacra.data.dataset import SPLITS, Dataset, Pair, pair_hash
from simulacra.data.joined import read_joined
from simulacra.data.portraits import peeps
from simulacra.data.shard_format import read_record
from simulacra.data.stores import LocalFolder, Store, is_address, open_store
from simulacra.errors import SimulacraError, near_path
from simulacra.files import read_json

FORMAT = 1  # of data.json
KINDS = (Dataset.WHAT, Pair.WHAT, joined.WHAT, shard_format.WHAT)


def open_dataset(source: str | Path) -> Dataset | Pair:
    """Open a prepared folder, a joined dataset at an address, or the built-in dataset "peeps".

    Pictures are memory-mapped, not read. Raises SimulacraError for a path that is missing, holds raw pictures, is
    half-written or damaged.
    """
    if source == "peeps":
        return peeps()
    if is_address(source):
        return _open_joined(open_store(source), None)
    path = Path(source)
    what = kind(path)
    if what == Pair.WHAT:
        return _open_pair(path, read_json(path / "data.json"))
    if what == Dataset.WHAT:
        return _open_domain(path, read_json(path / "data.json"))
    if what == joined.WHAT:
        return _open_joined(LocalFolder(path), path)
    if what == shard_format.WHAT:
        shard = shard_format.read_shard(LocalFolder(path))
        raise SimulacraError("data.is_a_shard", path=path, number=shard.number, count=shard.count)
    if not path.exists():
        raise SimulacraError("data.no_dataset", path=path, hint=near_path(path, ["peeps"]))
    if path.is_dir() and ((path / "data.json").exists() or (path / "images.npy").exists()):
        raise SimulacraError("data.half_written", path=path)
    raise SimulacraError("data.not_prepared", path=path, name=path.name or "faces")


def open_domain(source: str | Path) -> Dataset:
    """Open a prepared folder of one domain, or "peeps". Raises SimulacraError as `open_dataset` does, and for a pair."""
    data = open_dataset(source)
    if isinstance(data, Pair):
        raise SimulacraError("data.is_a_pair", path=source, a=Path(source) / "a", b=Path(source) / "b")
    return data


def open_pair(source: str | Path) -> Pair:
    """Open a prepared pair. Raises SimulacraError as `open_dataset` does, and for a dataset of one domain."""
    data = open_dataset(source)
    if isinstance(data, Dataset):
        raise SimulacraError("data.is_one_domain", path=source)
    return data


def kind(path: Path) -> str | None:
    """What data.json in the folder says that it holds, one of `KINDS`; None if it says nothing of the kind."""
    about = path / "data.json"
    try:
        record = json.loads(about.read_text(encoding="utf-8")) if about.is_file() else None
    except (OSError, ValueError, RecursionError):
        return None
    what = record.get("what") if isinstance(record, dict) else None
    return what if what in KINDS else None


def is_prepared(path: str | Path) -> bool:
    """Whether `path` is an address, or a folder that `prepare` or `join` finished (its contents are not checked)."""
    return is_address(path) or kind(Path(path).expanduser()) is not None


def _open_pair(path: Path, record: dict[str, Any]) -> Pair:
    a, b = (open_domain(path / letter) for letter in "ab")
    digest = pair_hash(a.hash, b.hash)
    if digest != record.get("hash") or a.shape != b.shape:
        raise SimulacraError("data.damaged_pair", path=path)
    first, second = map(str, record["domains"])
    return Pair(str(record["name"]), path, a, b, (first, second), digest)


def _open_joined(store: Store, path: Path | None) -> Dataset:
    record = read_record(store)
    if record.get("what") != joined.WHAT:
        raise SimulacraError("data.address_not_joined", place=store.place)
    if record.get("format") != FORMAT:
        raise SimulacraError("data.other_format", path=store.place, format=record.get("format"), expected=FORMAT)
    images, labels = read_joined(store, record)
    try:
        splits = {part: int(record["splits"][part]) for part in SPLITS}
        classes, attributes = tuple(record["classes"]), tuple(record["attributes"])
        name, digest = str(record["name"]), str(record["hash"])
        fits = sum(splits.values()) == len(images) and _labels_fit(labels, len(images), classes, attributes)
        fits = fits and bool(name.strip(".")) and not set(name) & set("/\\\0")  # a run's folder is named by it
    except (KeyError, TypeError, ValueError) as error:
        raise SimulacraError("data.damaged_joined", place=store.place) from error
    if not fits:
        raise SimulacraError("data.damaged_joined", place=store.place)
    address = "" if path else store.place
    return Dataset(name, path, images, labels, classes, attributes, splits, digest, address)


def _open_domain(path: Path, record: dict[str, Any]) -> Dataset:
    if record.get("format") != FORMAT:
        raise SimulacraError("data.other_format", path=path, format=record.get("format"), expected=FORMAT)
    damaged = SimulacraError("data.damaged_dataset", path=path)
    try:
        shape, splits = tuple(record["shape"]), {part: int(record["splits"][part]) for part in SPLITS}
        classes, attributes = tuple(record["classes"]), tuple(record["attributes"])
        images = np.load(path / "images.npy", mmap_mode="r", allow_pickle=False)
        labels = np.load(path / "labels.npy", allow_pickle=False) if classes or attributes else None
        size = (path / "images.npy").stat().st_size
        name, digest = str(record["name"]), str(record["hash"])
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
        in_range = bool(((labels >= 0) & (labels < len(classes))).all())
        return labels.dtype == np.int64 and labels.shape == (n,) and in_range
    return labels.dtype == np.float32 and labels.shape == (n, len(attributes))
