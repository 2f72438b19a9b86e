"""Features of the second judge, against a plain reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from simulacra.measure.extractors.pyramid import (
    CELLS,
    FILTERS,
    SIDES,
    THUMBNAIL,
    WIDTH,
    _filters,
    pyramid_features,
)

Floats = NDArray[np.float64]
BAND = FILTERS * CELLS**2  # features of a band


def pictures(n: int, height: int, width: int | None = None, seed: int = 0) -> Tensor:
    """Pictures [n, 3, height, width] in 0..255: noise with structure of several sizes."""
    generator, width = torch.Generator().manual_seed(seed), width or height
    total = torch.zeros(n, 3, height, width)
    for side in (1, 4, 16):
        noise = torch.rand(n, 3, -(-height // side), -(-width // side), generator=generator)
        total += noise.repeat_interleave(side, 2).repeat_interleave(side, 3)[..., :height, :width]
    return total * 85


def halved(channel: Floats) -> Floats:
    """Means of 2x2 pixels."""
    means: Floats = channel.reshape(len(channel) // 2, 2, -1, 2).mean((1, 3))
    return means


def doubled(channel: Floats) -> Floats:
    """Twice as large: a new pixel is three quarters its old one and a quarter the nearest other, edges repeated."""
    for _ in range(2):
        padded = np.pad(channel, ((1, 1), (0, 0)), mode="edge")
        larger = np.empty((2 * len(channel), channel.shape[1]))
        larger[0::2] = 0.75 * padded[1:-1] + 0.25 * padded[:-2]
        larger[1::2] = 0.75 * padded[1:-1] + 0.25 * padded[2:]
        channel = larger.T
    return channel


def reference(picture: Floats) -> Floats:
    """The features of a picture [3, side, side], one filter, cell and pixel at a time."""
    features: list[float] = []
    for level, side in enumerate(SIDES):
        if side > len(picture[0]):
            features += [0.0] * BAND
            continue
        smaller = np.stack([halved(channel) for channel in picture])
        band = picture - np.stack([doubled(channel) for channel in smaller])
        padded, cell = np.pad(band, ((0, 0), (1, 1), (1, 1))), side // CELLS
        for kernel in _filters(level).double().numpy():
            response = np.zeros((side, side))
            for y in range(3):
                for x in range(3):
                    response += np.tensordot(kernel[:, y, x], padded[:, y : y + side, x : x + side], 1)
            for top in range(0, side, cell):
                for left in range(0, side, cell):
                    features.append(float(np.abs(response[top : top + cell, left : left + cell]).mean()))
        picture = smaller
    step = len(picture[0]) // THUMBNAIL
    for channel in picture:
        for top in range(0, step * THUMBNAIL, step):
            for left in range(0, step * THUMBNAIL, step):
                features.append(float(channel[top : top + step, left : left + step].mean()))
    return np.array(features)


@pytest.mark.parametrize("side", [128, 64, 16])
def test_agrees_with_a_plain_reference(side: int) -> None:
    ours = pyramid_features(pictures(2, side))
    assert ours.shape == (2, WIDTH)
    for picture, features in zip(pictures(2, side).double().numpy(), ours.numpy(), strict=True):
        np.testing.assert_allclose(features, reference(picture), rtol=1e-4, atol=1e-3)


def test_values_are_those_of_this_version() -> None:
    """Where these change, `features.SECOND_VERSION` must be increased."""
    picture = (torch.arange(3 * 20 * 30) * 37 % 256).float().view(1, 3, 20, 30)
    features = pyramid_features(picture)[0]
    expected = [33.4214, 37.2008, 19.8626, 45.5917, 128.5933, 126.8025]
    assert features[::29].tolist() == pytest.approx([0.0] * 5 + expected, abs=1e-3)
    assert features.sum() == pytest.approx(10507.5, rel=1e-5)


@pytest.mark.parametrize("level", range(len(SIDES)))
def test_filters_are_what_they_are_said_to_be(level: int) -> None:
    filters = _filters(level)
    torch.testing.assert_close(filters.flatten(1).norm(dim=1), torch.ones(FILTERS))
    torch.testing.assert_close(filters.mean((2, 3)), torch.zeros(FILTERS, 3), atol=1e-6, rtol=0)
    even, odd = filters.chunk(2)
    torch.testing.assert_close(even.flip(3), even)
    torch.testing.assert_close(odd.flip(3), -odd)


@pytest.mark.parametrize("size", [(16, 16), (40, 64), (200, 130)])
def test_an_even_picture_has_nothing_but_its_thumbnail(size: tuple[int, int]) -> None:
    colour = torch.tensor([10.0, 100.0, 250.0])
    features = pyramid_features(colour.view(1, 3, 1, 1).expand(1, 3, *size))[0]
    assert features[: len(SIDES) * BAND].abs().max() < 1e-3, "the bands"
    torch.testing.assert_close(features[len(SIDES) * BAND :], colour.repeat_interleave(THUMBNAIL**2))


@pytest.mark.parametrize("size", [(64, 64), (32, 48), (50, 30), (150, 200)])
def test_a_mirrored_picture_has_its_features_mirrored(size: tuple[int, int]) -> None:
    one = pyramid_features(pictures(2, *size))
    other = pyramid_features(pictures(2, *size).flip(3))
    for start in range(0, len(SIDES) * BAND, CELLS**2):
        cells, mirrored = (values[:, start : start + CELLS**2].view(2, CELLS, CELLS) for values in (one, other))
        torch.testing.assert_close(mirrored, cells.flip(2), rtol=1e-3, atol=1e-2)
    cells, mirrored = (values[:, len(SIDES) * BAND :].view(2, 3, THUMBNAIL, THUMBNAIL) for values in (one, other))
    torch.testing.assert_close(mirrored, cells.flip(3), rtol=1e-3, atol=1e-2)
    assert (one - other).abs().max() > 1


@settings(max_examples=30)
@given(height=st.integers(1, 200), width=st.integers(1, 200))
def test_pictures_of_every_size_have_features(height: int, width: int) -> None:
    features = pyramid_features(pictures(1, height, width))[0]
    assert features.shape == (WIDTH,) and features.isfinite().all()
    bands = features[: len(SIDES) * BAND].view(len(SIDES), BAND)
    first = min((i for i, side in enumerate(SIDES) if side >= max(height, width)), key=lambda i: SIDES[i], default=0)
    assert not bands[:first].any(), "bands finer than the picture"
    if min(height, width) > 1:
        assert all(band.any() for band in bands[first:])


def test_features_depend_on_their_own_picture_alone() -> None:
    batch = pictures(7, 48)
    whole = pyramid_features(batch)
    for number in range(7):
        torch.testing.assert_close(pyramid_features(batch[number : number + 1])[0], whole[number], rtol=1e-5, atol=1e-3)
    last = batch.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(pyramid_features(last), whole, rtol=1e-5, atol=1e-3)


def test_brightness_changes_the_thumbnail_and_contrast_the_bands() -> None:
    picture = pictures(1, 64)
    plain, brighter, twice = (pyramid_features(values) for values in (picture, picture + 9, 2 * picture))
    bands = slice(0, len(SIDES) * BAND)
    torch.testing.assert_close(brighter[:, bands], plain[:, bands], rtol=1e-3, atol=1e-2)
    torch.testing.assert_close(brighter[:, bands.stop :], plain[:, bands.stop :] + 9)
    torch.testing.assert_close(twice, 2 * plain, rtol=1e-4, atol=1e-3)
