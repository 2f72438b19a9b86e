"""Blocks of pictures at an address: read ahead by a few threads, and kept on the disk and in memory within bounds."""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulacra.data.shard_format import BLOCKS, PICTURES, array_of, sha256
from simulacra.data.stores import Store
from simulacra.errors import SimulacraError
from simulacra.files import ABANDONED_SECONDS, cache_folder

VARIABLE, DEFAULT_GB = "SIMULACRA_CACHE_GB", 20.0  # of the disk that blocks may take; 0: none
THREADS = 8  # that read at the same time
MEMORY = 64 << 20  # bytes of blocks in memory
LEFT = 0.9  # of the limit that is left when room is made
RECOUNT = 1 / 32  # of the limit that a process writes before it counts again what others have written


def cache_limit() -> int:
    """Bytes that the cache of blocks may take. Raises SimulacraError where the environment names no size."""
    word = os.environ.get(VARIABLE, str(DEFAULT_GB))
    try:
        size = float(word)
    except ValueError:
        size = -1.0
    if not 0 <= size < 1e9:
        raise SimulacraError("data.not_a_cache_size", variable=VARIABLE, value=word)
    return int(size * 1e9)


class BlockCache:
    """Files in a folder, named by their SHA-256; the one not used for the longest time goes first.

    Processes may share the folder. What does not match its name is taken for missing.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        """limit: bytes that all files may take."""
        self.folder, self.limit, self.lock = folder, limit, threading.Lock()
        self.total: int | None = None  # bytes, as far as this process knows
        self.written = 0  # bytes since they were counted

    def get(self, digest: str) -> bytes | None:
        """The file of this SHA-256, or None."""
        path = self._path(digest)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        if sha256(data) != digest:
            path.unlink(missing_ok=True)
            return None
        with contextlib.suppress(OSError):  # another process may have made room
            os.utime(path)
        return data

    def map(self, digest: str) -> NDArray[np.uint8] | None:
        """The bytes of the file of this SHA-256, mapped into memory and not compared with it; None where there is none."""
        path = self._path(digest)
        try:
            os.utime(path)
            return np.memmap(path, np.uint8, mode="r")
        except (OSError, ValueError):
            return None

    def put(self, digest: str, data: bytes) -> None:
        """Keep a file, if there is room for it at all; a disk that refuses costs time later, and nothing else."""
        if len(data) > LEFT * self.limit:
            return
        path = self._path(digest)
        with self.lock, contextlib.suppress(OSError):
            if self.total is None or self.total + len(data) > self.limit or self.written > RECOUNT * self.limit:
                self._make_room(len(data))
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=".")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                Path(name).replace(path)
            finally:
                Path(name).unlink(missing_ok=True)
            self.total = (self.total or 0) + len(data)
            self.written += len(data)

    def _path(self, digest: str) -> Path:
        return self.folder / digest[:2] / digest

    def _make_room(self, size: int) -> None:
        """Count what is there; where `size` more bytes are too many, delete the oldest until a tenth is free."""
        files = sorted(self._files())
        self.total, self.written = sum(size for _, size, _ in files), 0
        if self.total + size <= self.limit:
            return
        for _, length, path in files:
            if self.total + size <= LEFT * self.limit:
                return
            with contextlib.suppress(OSError):  # Windows deletes no file that is mapped
                path.unlink(missing_ok=True)
                self.total -= length

    def _files(self) -> list[tuple[int, int, Path]]:
        """Time of the last use in ns, size and path of each file; those that are being written are left alone."""
        files = []
        for path in self.folder.glob("*/*"):
            with contextlib.suppress(OSError):
                about = path.stat()
                if not path.name.startswith(".") or time.time() - about.st_mtime > ABANDONED_SECONDS:
                    files.append((about.st_mtime_ns, about.st_size, path))
        return files


class RemotePart:
    """The pictures of one shard at an address, block by block."""

    def __init__(self, store: Store, shape: tuple[int, ...], offset: int, block_rows: int, blocks: str) -> None:
        """blocks: the SHA-256 of the file with the blocks' own."""
        self.store, self.shape, self.offset, self.block_rows, self.blocks = store, shape, offset, block_rows, blocks
        self.row_bytes = int(np.prod(shape[1:]))
        self.hashes: NDArray[np.uint8] | None = None
        self.sound = np.zeros(-(-shape[0] // block_rows), np.bool_)  # blocks that this process has compared with theirs
        self.lock = threading.Lock()

    def digest(self, block: int, cache: BlockCache) -> str:
        """The SHA-256 of a block."""
        with self.lock:
            if self.hashes is None:
                self.hashes = cached_array(self.store, BLOCKS, self.blocks, cache)
        return bytes(self.hashes[block]).hex()

    def fetch(self, block: int, cache: BlockCache) -> NDArray[np.uint8]:
        """The pictures of a block, from the cache or the address.

        Raises SimulacraError where it does not match its hash when it is read a second time, either.
        """
        digest, first = self.digest(block, cache), block * self.block_rows
        size = min(self.block_rows, self.shape[0] - first) * self.row_bytes
        mapped = cache.map(digest) if self.sound[block] else None
        if mapped is not None and len(mapped) == size:
            return mapped.reshape(-1, *self.shape[1:])  # only the pictures that are asked for are read
        data = cache.get(digest)
        if data is None:
            for _ in range(2):
                data = self.store.read_range(PICTURES, self.offset + first * self.row_bytes, size)
                if sha256(data) == digest:
                    break
            else:
                raise SimulacraError("data.damaged_block", place=self.store.place, block=block)
            cache.put(digest, data)
        self.sound[block] = True
        return np.frombuffer(data, np.uint8).reshape(-1, *self.shape[1:])


class BlockReader:
    """The blocks of several shards; those read last stay in memory, and some are read ahead."""

    def __init__(self, parts: Sequence[RemotePart], cache: BlockCache) -> None:
        self.parts, self.cache = parts, cache
        self.block_rows = np.array([part.block_rows for part in parts])
        self.most = max(2 * THREADS, MEMORY // max(part.block_rows * part.row_bytes for part in parts))  # in memory
        self.blocks: OrderedDict[tuple[int, int], Future[NDArray[np.uint8]]] = OrderedDict()  # those used last behind
        self.reading = 0  # blocks that are on their way
        self.lock = threading.Lock()
        self.pool = ThreadPoolExecutor(THREADS, thread_name_prefix="blocks")

    def ahead(self, places: NDArray[np.int64]) -> None:
        """Begin to read the blocks of the pictures at `places` [N, 2], shard and row; half of the memory at most."""
        for part, block in self._blocks(places)[0][: self.most // 2].tolist():
            if self.reading >= self.most // 2:
                return
            self._request(part, block)

    def take(self, places: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
        """Fill `out` [N, H, W, C] with the pictures at `places` [N, 2]."""
        blocks, which = self._blocks(places)
        order = np.argsort(which, kind="stable")
        ends = np.searchsorted(which[order], np.arange(len(blocks) + 1))
        following = iter(blocks.tolist())
        waiting = deque(self._request(part, block) for part, block in itertools.islice(following, self.most // 2))
        for n, (part, block) in enumerate(blocks.tolist()):
            pictures = waiting.popleft().result()
            waiting.extend(self._request(*next_) for next_ in itertools.islice(following, 1))
            rows = order[ends[n] : ends[n + 1]]
            out[rows] = pictures[places[rows, 1] - block * self.parts[part].block_rows]

    def _blocks(self, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
        """The different blocks [B, 2] of these places, as shard and block, and which one each place is in [N]."""
        inside = (places[:, 0] << 40) + places[:, 1] // self.block_rows[places[:, 0]]
        blocks, which = np.unique(inside, return_inverse=True)
        return np.stack([blocks >> 40, blocks & ((1 << 40) - 1)], 1), which

    def _request(self, part: int, block: int) -> Future[NDArray[np.uint8]]:
        """The block, which is being read or was; one whose reading failed is read anew."""
        key = part, block
        with self.lock:
            future = self.blocks.get(key)
            if future is None or (future.done() and future.exception() is not None):
                future = self.blocks[key] = self.pool.submit(self._read, part, block)
                self.reading += 1
            self.blocks.move_to_end(key)
            while len(self.blocks) > self.most and next(iter(self.blocks.values())).done():
                self.blocks.popitem(last=False)
            return future

    def _read(self, part: int, block: int) -> NDArray[np.uint8]:
        try:
            return self.parts[part].fetch(block, self.cache)
        finally:
            with self.lock:
                self.reading -= 1


def block_cache() -> BlockCache:
    """The cache of blocks of this user."""
    return BlockCache(cache_folder() / "blocks", cache_limit())


def cached_array(store: Store, name: str, digest: str, cache: BlockCache) -> NDArray[Any]:
    """An array of a folder at an address, from the cache if it is there."""
    data = cache.get(digest)
    if data is None:
        data = store.read(name)
        array = array_of(data, store.place, name, digest)
        cache.put(digest, data)
        return array
    return array_of(data, store.place, name, digest)
