"""The same picture twice, or nearly: found among prepared pictures in a time that grows as n log n."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

NEAR_BITS = 4  # of 64: fingerprints this close are looked at
NEAR_LEVELS = 6.0  # of 255: near duplicates differ by less than this on average
NEIGHBOURS = 32  # how far one looks along a sorted list of fingerprints
AT_ONCE = 1024


def digests(images: NDArray[np.uint8], rows: Sequence[int] | None = None) -> list[bytes]:
    """A 16-byte hash of each picture [N, H, W, C]."""
    chosen = range(len(images)) if rows is None else rows
    return [hashlib.blake2b(np.ascontiguousarray(images[row]).data, digest_size=16).digest() for row in chosen]


def exact_groups(images: NDArray[np.uint8]) -> list[list[int]]:
    """Rows that hold the very same pixels, in groups of two or more."""
    groups: dict[bytes, list[int]] = defaultdict(list)
    for row, digest in enumerate(digests(images)):
        groups[digest].append(row)
    return [group for group in groups.values() if len(group) > 1]


def grids(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pictures [N, H, W, C] as the means of their brightness on a grid [N, 8, 9]."""
    n, height, width = images.shape[:3]
    down, across = _means(8, height), _means(9, width)
    small = np.empty((n, 8, 9), np.float32)
    for start in range(0, n, AT_ONCE):
        grey = images[start : start + AT_ONCE, :, :, :3].mean(axis=3, dtype=np.float32)  # [n, H, W]
        small[start : start + AT_ONCE] = down @ grey @ across.T
    return small


def fingerprints(small: NDArray[np.float32]) -> NDArray[np.uint64]:
    """dHash: 64 bits [N] that say where a grid [N, 8, 9] gets brighter to the right."""
    # Half a level of slack: in an even background rounding would decide otherwise.
    brighter = (small[:, :, 1:] - small[:, :, :-1] > 0.5).reshape(-1, 64)
    weights = np.left_shift(np.uint64(1), np.arange(64, dtype=np.uint64))
    bits: NDArray[np.uint64] = (brighter * weights).sum(axis=1, dtype=np.uint64)
    return bits


def near_groups(images: NDArray[np.uint8]) -> list[list[int]]:
    """Rows whose pictures [N, H, W, C] differ only slightly (or not at all), in groups of two or more.

    Fingerprints that differ in at most 4 of 64 bits agree wholly in at least one of 5 bands, so each band in
    turn is made the leading one, the list is sorted, and neighbours are compared, first bits, then pixels. In
    a crowd of more than NEIGHBOURS look-alikes some pairs may be missed; they are joined through others.
    """
    parent = list(range(len(images)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for first, second in _candidates(grids(images)):
        a, b = root(first), root(second)
        if a != b and _alike(images[first], images[second]):
            parent[max(a, b)] = min(a, b)
    groups: dict[int, list[int]] = defaultdict(list)
    for row in range(len(images)):
        groups[root(row)].append(row)
    return [group for group in groups.values() if len(group) > 1]


def _candidates(small: NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    bits = fingerprints(small)
    for band in range(5):
        turn = np.uint64(13 * band)
        turned = (bits << turn) | (bits >> (np.uint64(64) - turn)) if band else bits
        order = np.argsort(turned, kind="stable")
        for step in range(1, min(NEIGHBOURS, len(bits) - 1) + 1):
            one, other = order[:-step], order[step:]
            close = _popcount(bits[one] ^ bits[other]) <= NEAR_BITS
            one, other = one[close], other[close]
            # Means differ by no more than the pixels do: whoever fails here would fail there.
            close = np.abs(small[one] - small[other]).mean(axis=(1, 2)) < NEAR_LEVELS
            yield from zip(one[close].tolist(), other[close].tolist(), strict=True)


def _popcount(bits: NDArray[np.uint64]) -> NDArray[np.int64]:
    counts: NDArray[np.int64] = np.unpackbits(bits.view(np.uint8).reshape(-1, 8), axis=1).sum(axis=1)
    return counts


def _alike(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    """Alike on average and everywhere: two drawings that differ in the mouth alone are not the same."""
    difference = np.abs(one.astype(np.int16) - other.astype(np.int16))
    return bool(difference.mean() < NEAR_LEVELS and (difference > 4 * NEAR_LEVELS).mean() < 0.01)


def _means(n: int, size: int) -> NDArray[np.float32]:
    """The matrix [n, size] that averages `size` pixels into n equal shares, edges by their part."""
    edges = np.arange(n + 1) * (size / n)
    pixels = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    means: NDArray[np.float32] = (np.clip(overlap, 0, None) * (n / size)).astype(np.float32)
    return means
