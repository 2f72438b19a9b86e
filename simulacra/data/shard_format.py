"""What the folder of a shard holds: pictures, labels, and hashes of all, so that each block can be checked by itself."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulacra.data.stores import Store
from simulacra.errors import SimulacraError

WHAT = "simulacra shard"  # the entry `what` of its data.json
FORMAT = 1
PICTURES = "shard.npy"  # [N, H, W, C] uint8
BLOCKS = "blocks.npy"  # [blocks, 32] uint8: the SHA-256 of each block of pictures
KEYS = "keys.npy"  # [N] uint64: the place of each picture in the order of the whole
LABELS = "labels.npy"  # [N] or [N, A], as the source numbers them
DIGESTS = "digests.npy"  # [N, 16] uint8: where duplicates are dropped
BLOCK_BYTES = 1 << 20  # of a block, about: one request to an object store


@dataclass(frozen=True)
class Share:
    """The part of a source that is prepared as one shard: number `number` of `count`, from 1."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def range(self, n: int) -> range:
        """Which of n pictures, in the order of the listing."""
        return range((self.number - 1) * n // self.count, self.number * n // self.count)


@dataclass(frozen=True)
class Shard:
    """What data.json says of a shard. Everything but its name and its versions decides `hash`."""

    number: int
    count: int
    shape: tuple[int, int, int, int]
    offset: int  # of the first picture in its file, in bytes
    block_rows: int  # pictures in a block; the last may have fewer
    classes: tuple[str, ...]
    attributes: tuple[str, ...]
    bounds: tuple[int, int]  # keys: train ends at the first, valid at the second
    options: dict[str, Any]
    listing: str  # hash of names and labels of the whole source
    files: dict[str, str]  # name -> SHA-256

    def hash(self) -> str:
        """The content hash."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def parse_share(word: str) -> Share:
    """`3/8` as the third of eight shards. Raises SimulacraError for anything else."""
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", word, re.ASCII)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise SimulacraError("data.not_a_share", share=word)
    return Share(int(match[1]), int(match[2]))


def rows_of_block(shape: tuple[int, ...]) -> int:
    """Pictures in a block of about `BLOCK_BYTES`."""
    return max(1, BLOCK_BYTES // int(np.prod(shape[1:])))


def read_shard(store: Store) -> Shard:
    """What data.json in a folder says. Raises SimulacraError where it is not a shard, or does not match its hash."""
    record = read_record(store)
    if record.get("what") != WHAT:
        raise SimulacraError("data.not_a_shard", place=store.place)
    if record.get("format") != FORMAT:
        raise SimulacraError("data.other_format", path=store.place, format=record.get("format"), expected=FORMAT)
    try:
        values = {name: record[name] for name in Shard.__dataclass_fields__}
        lists = {name: tuple(values[name]) for name in ("shape", "classes", "attributes", "bounds")}
        shard = Shard(**(values | lists))
        sound = shard.hash() == record["hash"] and len(shard.shape) == 4
    except (KeyError, TypeError) as error:
        raise SimulacraError("data.damaged_shard", place=store.place, file="data.json") from error
    if not sound:
        raise SimulacraError("data.damaged_shard", place=store.place, file="data.json")
    return shard


def read_record(store: Store) -> dict[str, Any]:
    """The data.json of a folder. Raises SimulacraError where it is missing or damaged."""
    data = store.read("data.json")
    try:
        record = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SimulacraError("files.not_json", path=f"{store.place}/data.json", reason=error) from error
    if not isinstance(record, dict):
        raise SimulacraError("files.not_json", path=f"{store.place}/data.json", reason="[]")
    return record


def read_array(store: Store, name: str, digest: str) -> NDArray[Any]:
    """An array of a folder, checked by its SHA-256. Raises SimulacraError where it differs."""
    return array_of(store.read(name), store.place, name, digest)


def array_of(data: bytes, place: str, name: str, digest: str) -> NDArray[Any]:
    """The array in the bytes of an .npy file, which must have this SHA-256."""
    if sha256(data) != digest:
        raise SimulacraError("data.damaged_shard", place=place, file=name)
    try:
        array: NDArray[Any] = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise SimulacraError("data.damaged_shard", place=place, file=name) from error
    return array


def sha256(data: bytes) -> str:
    """The SHA-256, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def check_pictures(store: Store, shard: Shard, advance: Callable[[int], object]) -> None:
    """Read all pictures once. Raises SimulacraError that names the first block that differs from its hash."""
    hashes = read_array(store, BLOCKS, shard.files[BLOCKS])
    file = io.BytesIO(store.read_range(PICTURES, 0, shard.offset))
    try:
        np.lib.format.read_magic(file)
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    except ValueError as error:
        raise SimulacraError("data.damaged_shard", place=store.place, file=PICTURES) from error
    if shape != shard.shape or fortran or dtype != np.uint8 or file.tell() != shard.offset:
        raise SimulacraError("data.damaged_shard", place=store.place, file=PICTURES)
    for block, (start, size) in enumerate(block_ranges(shard)):
        data = store.read_range(PICTURES, start, size)
        if block >= len(hashes) or hashlib.sha256(data).digest() != hashes[block].tobytes():
            raise SimulacraError("data.damaged_block", place=store.place, block=block)
        advance(size // int(np.prod(shard.shape[1:])))


def block_ranges(shard: Shard) -> list[tuple[int, int]]:
    """Where each block lies in the file of pictures: its first byte, and how many it has."""
    row = int(np.prod(shard.shape[1:]))
    starts = range(0, shard.shape[0], shard.block_rows)
    return [(shard.offset + n * row, min(shard.block_rows, shard.shape[0] - n) * row) for n in starts]
