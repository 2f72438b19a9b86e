"""Batches as a function of (seed, images shown): every picture once a pass, whatever the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import CPU, in_memory, noise
from torch import Tensor

from simulacra.data.feed import Feed

N = 23


def numbered(n: int = N, seed: int = 0, mirror: bool = False) -> Feed:
    """A feed of pictures that hold their own number on the left half and 255 on the right."""
    images = np.full((n, 4, 4, 1), 255, np.uint8)
    images[:, :, :2] = np.arange(n, dtype=np.uint8)[:, None, None, None]
    return Feed(in_memory(images, np.arange(n, dtype=np.int64)), CPU, seed=seed, mirror=mirror)


def numbers(images: Tensor) -> list[int]:
    return ((images.amin((1, 2, 3)) + 1) * 127.5).round().int().tolist()


def mirrored(images: Tensor) -> list[bool]:
    return (images[:, 0, 0, 0] > images[:, 0, 0, 3]).tolist()


@given(st.integers(0, 5), st.integers(0, 2**31))
def test_every_picture_exactly_once_a_pass(number: int, seed: int) -> None:
    one_pass = numbers(numbered(seed=seed).batch(number * N, N).images)
    assert sorted(one_pass) == list(range(N))


def test_passes_differ_and_so_do_seeds() -> None:
    feed = numbered()
    passes = [tuple(numbers(feed.batch(i * N, N).images)) for i in range(4)]
    assert len(set(passes)) == 4
    assert tuple(numbers(numbered(seed=1).batch(0, N).images)) != passes[0]
    assert tuple(numbers(numbered().batch(0, N).images)) == passes[0]


@given(st.integers(0, 10 * N), st.lists(st.integers(1, 2 * N), min_size=1, max_size=5))
def test_a_position_has_its_picture_whatever_the_batch(start: int, counts: list[int]) -> None:
    feed = numbered(mirror=True)
    whole = feed.batch(start, sum(counts))
    places = [start + sum(counts[:i]) for i in range(len(counts))]
    parts = [numbered(mirror=True).batch(place, count) for place, count in zip(places, counts, strict=True)]
    assert torch.equal(whole.images, torch.cat([part.images for part in parts]))
    assert whole.labels is not None
    assert whole.labels.tolist() == [
        label for part in parts if part.labels is not None for label in part.labels.tolist()
    ]


def test_labels_go_with_their_pictures() -> None:
    batch = numbered(mirror=True).batch(5, 3 * N)
    assert batch.labels is not None
    assert batch.labels.dtype == torch.int64
    assert batch.labels.tolist() == numbers(batch.images)


def test_about_half_are_mirrored_and_always_the_same() -> None:
    feed = numbered(mirror=True)
    flags = mirrored(feed.batch(0, 100 * N).images)
    share = sum(flags) / len(flags)
    assert share == pytest.approx(0.5, abs=4 * 0.5 / len(flags) ** 0.5)
    assert flags == mirrored(numbered(mirror=True).batch(0, 100 * N).images)
    assert not any(mirrored(numbered().batch(0, 10 * N).images))
    assert numbers(feed.batch(0, N).images) == numbers(numbered().batch(0, N).images), "mirroring leaves the order"


def test_pictures_are_what_they_are_on_disk() -> None:
    images = noise(6, (3, 5, 7))
    feed = Feed(in_memory(images), CPU, seed=0)
    batch = feed.batch(0, 6)
    assert batch.labels is None
    assert batch.images.shape == (6, 3, 5, 7) and batch.images.dtype == torch.float32
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert batch.images.min() >= -1 and batch.images.max() <= 1
    index, _ = feed.order(0, 6)
    back = ((batch.images + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    assert np.array_equal(back, images[index])
    assert feed.epochs(15) == 2.5


def test_one_picture_is_enough() -> None:
    assert numbers(numbered(1).batch(0, 5).images) == [0] * 5
