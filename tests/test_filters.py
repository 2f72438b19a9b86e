"""Resizing is Pillow's, and its matrices have the properties of a filter."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from simulacra.generator import to_image
from simulacra.layers.filters import Filter, enlarge, matrix, reduce, resize

PILLOW = {"lanczos": Image.Resampling.LANCZOS, "bicubic": Image.Resampling.BICUBIC}


def pictures(channels: int, height: int = 20, width: int = 14) -> torch.Tensor:
    """Mild noise, [1, C, H, W] in [-0.4, 0.4] of 8-bit levels: Pillow clips between its two passes."""
    levels = np.random.default_rng(0).integers(77, 179, (1, channels, height, width))
    return torch.from_numpy(levels).float() / 127.5 - 1


@pytest.mark.parametrize("by", ["lanczos", "bicubic"])
@pytest.mark.parametrize("size", [(10, 7), (40, 28), (13, 31)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_it_is_pillows(by: Filter, size: tuple[int, int], channels: int) -> None:
    images = pictures(channels)
    mine = np.asarray(to_image(resize(images, size, by)[0]), int)
    theirs = np.asarray(to_image(images[0]).resize(size[::-1], PILLOW[by]), int)
    assert np.abs(mine - theirs).max() <= (8 if channels == 4 else 1), "Pillow rounds colours times alpha to 8 bits"


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(["lanczos", "bicubic"]))
def test_rows_sum_to_one_and_equal_sizes_change_nothing(source: int, target: int, by: Filter) -> None:
    assert np.allclose(matrix(source, target, by).sum(1), 1)
    assert np.allclose(matrix(source, source, by), np.eye(source), atol=1e-12)


def test_invisible_colours_do_not_bleed_in() -> None:
    images = torch.ones(1, 4, 8, 8)
    images[:, :3, :, 4:], images[:, 3, :, 4:] = -1.0, -1.0  # black, but invisible
    for resized in (reduce(images), enlarge(images)):
        visible = resized[:, 3] > -0.99
        assert (resized[:, :3].amin(1)[visible] > 0.99).all()


def test_a_picture_keeps_its_precision_under_autocast() -> None:
    images = pictures(3)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(enlarge(images), enlarge(images.clone()))
        assert enlarge(images).dtype == torch.float32
        low = enlarge(images)
    assert torch.equal(low, enlarge(images))
