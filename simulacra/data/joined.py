"""Datasets joined from shards: their pictures as one array that is read when it is indexed, here or at an address."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from simulacra.console import silent
from simulacra.data.blocks import BlockReader, RemotePart, block_cache, cached_array
from simulacra.data.shard_format import LABELS, PICTURES, Shard, array_of, check_pictures, read_shard
from simulacra.data.stores import LocalFolder, Store, is_address, open_store, resolve
from simulacra.errors import SimulacraError

WHAT = "simulacra joined data"  # the entry `what` of its data.json
ORDER = "order.npy"  # [N]: where each picture lies, counted through all shards one behind the other
CHUNK = 256  # pictures that are read at once where all are gone through


@dataclass(frozen=True)
class Entry:
    """What the data.json of a joined dataset says of a shard."""

    place: str  # relative to the dataset, or an address
    number: int
    pictures: int
    hash: str
    offset: int
    block_rows: int
    blocks: str  # SHA-256 of its hashes of blocks


def joined_hash(record: dict[str, Any]) -> str:
    """The content hash of the data.json of a joined dataset; where its shards lie has no part in it."""
    named = {name: record[name] for name in ("shape", "splits", "classes", "attributes", "files")}
    shards = [[entry["number"], entry["pictures"], entry["hash"]] for entry in record["shards"]]
    return hashlib.sha256(json.dumps(named | {"shards": shards}, sort_keys=True).encode()).hexdigest()


class JoinedImages:
    """Pictures [N, H, W, C] uint8 of several shards. Indexing reads them; a slice is a view that reads nothing yet."""

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, source: _Source, order: NDArray[Any]) -> None:
        self.source, self.order = source, order
        self.shape: tuple[int, ...] = (len(order), *source.shape)
        self.nbytes = len(order) * int(np.prod(source.shape))

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, tuple):
            first = np.asarray(self[key[0]])
            return first[key[1:]] if first.ndim == 3 else first[(slice(None), *key[1:])]
        if isinstance(key, slice):
            return JoinedImages(self.source, self.order[key])
        rows = np.asarray(key)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64)
        pictures = self.source.take(np.asarray(self.order[rows.reshape(-1)], np.int64))
        return pictures.reshape(*rows.shape, *self.shape[1:])

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        for start in range(0, len(self), CHUNK):
            yield from self[np.arange(start, min(len(self), start + CHUNK))]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        pictures = np.empty(self.shape, np.uint8)
        for start in range(0, len(self), CHUNK):
            rows = np.arange(start, min(len(self), start + CHUNK))
            pictures[rows] = self[rows]
        return pictures if dtype is None else pictures.astype(dtype, copy=False)

    def ahead(self, rows: NDArray[np.int64]) -> None:
        """Begin to read pictures that will be asked for soon; without effect where they lie on this machine."""
        self.source.ahead(np.asarray(self.order[rows], np.int64))

    def verify(self) -> None:
        """Read all pictures on this machine. Raises SimulacraError where a block differs from its hash.

        Blocks at an address are compared with theirs whenever they are read.
        """
        self.source.verify()


class _Source:
    """All pictures of the shards one behind the other."""

    def __init__(self, stores: Sequence[Store], entries: Sequence[Entry], shape: tuple[int, ...]) -> None:
        """shape: of one picture."""
        self.stores, self.entries, self.shape = stores, entries, shape
        self.starts = np.cumsum([0, *(entry.pictures for entry in entries)])
        local = [isinstance(store, LocalFolder) for store in stores]
        self.maps = {n: self._map(n) for n, here in enumerate(local) if here}
        self.local = np.array(local)
        self.reader: BlockReader | None = None
        if not all(local):
            parts = [
                RemotePart(store, (entry.pictures, *shape), entry.offset, entry.block_rows, entry.blocks)
                for store, entry in zip(stores, entries, strict=True)
            ]
            self.reader = BlockReader(parts, block_cache())

    def _map(self, n: int) -> NDArray[np.uint8]:
        path, entry = Path(self.stores[n].place) / PICTURES, self.entries[n]
        try:
            images: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise SimulacraError("data.shard_missing", path=path, number=entry.number, reason=error) from error
        if images.shape != (entry.pictures, *self.shape) or images.dtype != np.uint8:
            raise SimulacraError("data.damaged_shard", place=self.stores[n].place, file=PICTURES)
        return images

    def _places(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Shard and row [N, 2] of positions [N]."""
        shards = np.searchsorted(self.starts, positions, side="right") - 1
        return np.stack([shards, positions - self.starts[shards]], 1)

    def ahead(self, positions: NDArray[np.int64]) -> None:
        if self.reader is not None:
            places = self._places(positions)
            self.reader.ahead(places[~self.local[places[:, 0]]])

    def take(self, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        places = self._places(positions)
        out = np.empty((len(places), *self.shape), np.uint8)
        here = self.local[places[:, 0]]
        for n in np.unique(places[here, 0]).tolist():
            of_shard = np.flatnonzero(places[:, 0] == n)
            out[of_shard] = self.maps[n][places[of_shard, 1]]
        if self.reader is not None and not here.all():
            away = np.flatnonzero(~here)
            pictures = np.empty((len(away), *self.shape), np.uint8)
            self.reader.take(places[away], pictures)
            out[away] = pictures
        return out

    def verify(self) -> None:
        for n in self.maps:
            shard = read_shard(self.stores[n])
            if shard.hash() != self.entries[n].hash:
                raise SimulacraError("data.damaged_shard", place=self.stores[n].place, file="data.json")
            check_pictures(self.stores[n], shard, silent("", 0))


def read_joined(store: Store, record: dict[str, Any]) -> tuple[NDArray[np.uint8], NDArray[Any] | None]:
    """Pictures and labels of a joined dataset, by its data.json.

    Raises SimulacraError where a file is missing, or does not match its hash.
    """
    try:
        entries = [Entry(**{name: entry[name] for name in Entry.__dataclass_fields__}) for entry in record["shards"]]
        shape, files, sound = tuple(record["shape"]), dict(record["files"]), joined_hash(record) == record["hash"]
        stores = [open_store(resolve(entry.place, store.place)) for entry in entries]
    except (KeyError, TypeError) as error:
        raise SimulacraError("data.damaged_joined", place=store.place) from error
    if not sound or len(shape) != 4:
        raise SimulacraError("data.damaged_joined", place=store.place)
    order, labels = (_array(store, name, files[name]) if name in files else None for name in (ORDER, LABELS))
    source = _Source(stores, entries, shape[1:])
    if order is None or order.shape != shape[:1] or not 0 <= int(order.min()) <= int(order.max()) < source.starts[-1]:
        raise SimulacraError("data.damaged_joined", place=store.place)
    return cast(NDArray[np.uint8], JoinedImages(source, order)), labels


def _array(store: Store, name: str, digest: str) -> NDArray[Any]:
    if is_address(store.place):
        return cached_array(store, name, digest, block_cache())
    return array_of(store.read(name), store.place, name, digest)


def as_npy(array: NDArray[Any]) -> bytes:
    """The bytes of an .npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def entry_of(shard: Shard, place: str, blocks: str) -> Entry:
    """The entry of a shard at `place`."""
    return Entry(place, shard.number, shard.shape[0], shard.hash(), shard.offset, shard.block_rows, blocks)
