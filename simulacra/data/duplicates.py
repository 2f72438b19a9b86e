"""Find pictures that are equal or nearly equal, in time O(n log n)."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

NEAR_BITS = 4  # of 64: only pictures whose fingerprints differ by at most this are compared
NEAR_LEVELS = 6.0  # of 255: mean absolute difference below which pictures are near duplicates
NEIGHBOURS = 32  # positions in a sorted list of fingerprints over which pictures are compared
CHUNK = 1024  # pictures


def digests(images: NDArray[np.uint8], rows: Sequence[int] | None = None) -> list[bytes]:
    """A 16-byte hash of each picture [N, H, W, C]."""
    chosen = range(len(images)) if rows is None else rows
    return [hashlib.blake2b(np.ascontiguousarray(images[row]).data, digest_size=16).digest() for row in chosen]


def exact_groups(images: NDArray[np.uint8]) -> list[list[int]]:
    """Rows with equal pixels, in groups of two or more."""
    groups: dict[bytes, list[int]] = defaultdict(list)
    for row, digest in enumerate(digests(images)):
        groups[digest].append(row)
    return [group for group in groups.values() if len(group) > 1]


def grids(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean brightness of pictures [N, H, W, C] on a grid: [N, 8, 9]."""
    n, height, width = images.shape[:3]
    down, across = _means(8, height), _means(9, width)
    small = np.empty((n, 8, 9), np.float32)
    for start in range(0, n, CHUNK):
        grey = images[start : start + CHUNK, :, :, :3].mean(axis=3, dtype=np.float32)  # [n, H, W]
        small[start : start + CHUNK] = down @ grey @ across.T
    return small


def fingerprints(small: NDArray[np.float32]) -> NDArray[np.uint64]:
    """dHash [N]: each of 64 bits says whether the grid [N, 8, 9] gets brighter to the right.

    Krawetz, "Kind of Like That" (2013).
    """
    # A margin of half a level: in a uniform background rounding would decide.
    brighter = (small[:, :, 1:] - small[:, :, :-1] > 0.5).reshape(-1, 64)
    weights = np.left_shift(np.uint64(1), np.arange(64, dtype=np.uint64))
    bits: NDArray[np.uint64] = (brighter * weights).sum(axis=1, dtype=np.uint64)
    return bits


def near_groups(images: NDArray[np.uint8]) -> list[list[int]]:
    """Rows whose pictures [N, H, W, C] differ only slightly, or not at all, in groups of two or more.

    Fingerprints that differ in at most 4 of 64 bits agree completely in at least one of 5 bands. So each band in turn
    becomes the leading one, the list is sorted, and neighbours are compared: first bits, then pixels. Among more than
    NEIGHBOURS similar pictures some pairs may be missed; other pairs usually join them.
    """
    parent = list(range(len(images)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for first, second in _candidates(grids(images)):
        a, b = root(first), root(second)
        if a != b and _near(images[first], images[second]):
            parent[max(a, b)] = min(a, b)
    groups: dict[int, list[int]] = defaultdict(list)
    for row in range(len(images)):
        groups[root(row)].append(row)
    return [group for group in groups.values() if len(group) > 1]


def _candidates(small: NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    bits = fingerprints(small)
    for band in range(5):
        shift = np.uint64(13 * band)
        rotated = (bits << shift) | (bits >> (np.uint64(64) - shift)) if band else bits
        order = np.argsort(rotated, kind="stable")
        for step in range(1, min(NEIGHBOURS, len(bits) - 1) + 1):
            a, b = order[:-step], order[step:]
            close = _popcount(bits[a] ^ bits[b]) <= NEAR_BITS
            a, b = a[close], b[close]
            # Cell means differ by no more than the pixels do, so this skips no near duplicate.
            close = np.abs(small[a] - small[b]).mean(axis=(1, 2)) < NEAR_LEVELS
            yield from zip(a[close].tolist(), b[close].tolist(), strict=True)


def _popcount(bits: NDArray[np.uint64]) -> NDArray[np.int64]:
    counts: NDArray[np.int64] = np.unpackbits(bits.view(np.uint8).reshape(-1, 8), axis=1).sum(axis=1)
    return counts


def _near(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> bool:
    """Whether two pictures differ little on average and almost nowhere strongly, as drawings with two mouths would."""
    difference = np.abs(a.astype(np.int16) - b.astype(np.int16))
    return bool(difference.mean() < NEAR_LEVELS and (difference > 4 * NEAR_LEVELS).mean() < 0.01)


def _means(n: int, size: int) -> NDArray[np.float32]:
    """The matrix [n, size] that averages `size` pixels into n equal cells; cells share the pixels at their edges."""
    edges = np.arange(n + 1) * (size / n)
    pixels = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    means: NDArray[np.float32] = (np.clip(overlap, 0, None) * (n / size)).astype(np.float32)
    return means
