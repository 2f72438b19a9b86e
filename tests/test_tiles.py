"""Large pictures in tiles: equal to the whole, covering all of it, in bounded memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support import coloured, seasons

from simulacra.translation import tiles
from simulacra.translation.norms import fixed_statistics, recorded_statistics


@given(st.integers(1, 700), st.integers(4, 60), st.data())
def test_tiles_cover_and_their_weights_add_up_to_one(length: int, side: int, data: st.DataObject) -> None:
    side *= 4
    shared = data.draw(st.integers(0, side // 8)) * 4
    places = tiles.spans(length, side, shared)
    total, count = np.zeros(length), np.zeros(length, int)
    for (begin, end), weight in zip(places, tiles.ramps(places, data.draw(st.integers(1, 40))), strict=True):
        assert begin % 4 == 0 and len(weight) == end - begin <= side and weight.min() >= 0
        total[begin:end] += weight
        count[begin:end] += 1
    assert places[-1][1] == length and count.min() >= 1 and count.max() <= 2
    np.testing.assert_allclose(total, 1, atol=1e-6)


@settings(max_examples=25)
@given(st.integers(1, 150), st.integers(1, 150), st.sampled_from([32, 48, 64]), st.data())
def test_tiles_put_a_picture_together_again(height: int, width: int, side: int, data: st.DataObject) -> None:
    pixels = np.asarray(coloured(width, height))
    shared = data.draw(st.integers(0, side // 8)) * 4
    again = tiles.map_tiles(lambda tile: tile.astype(np.float32) / 127.5 - 1, pixels, side, shared)
    assert np.array_equal(again, pixels)


@pytest.mark.parametrize("change", [False, True])
@pytest.mark.parametrize(("height", "width"), [(150, 203), (301, 90), (20, 260), (5, 300)])
def test_tiles_equal_the_whole(height: int, width: int, change: bool) -> None:
    translator = seasons(change=change)
    network, side = translator.into["b"], 192
    shared = tiles.overlap(network, side, 4)
    assert shared >= 2 * tiles.reach(network)
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    pixels[: height // 2] //= 4  # another contrast than the rest
    shapes: list[tuple[int, ...]] = []

    def translate(tile: tiles.Pixels) -> tiles.FloatPixels:
        shapes.append(tile.shape)
        return tiles._translate(translator, tile, "b")

    with torch.no_grad():
        whole = translate(pixels)
        with recorded_statistics(network) as statistics:
            np.testing.assert_array_equal(translate(pixels), whole)
        with fixed_statistics(network, statistics):
            parts = np.concatenate(list(tiles.blend_tiles(translate, pixels, side, shared)))
        np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-4)
        np.testing.assert_array_equal(translate(pixels), whole)  # the norms are as they were
    if max(height, width) > side:
        assert len(shapes) > 4
        alone = np.concatenate(list(tiles.blend_tiles(translate, pixels, side, shared)))
        assert np.abs(alone - whole).max() > 1e-2, "without shared statistics they do not"


def test_reach_is_how_far_the_network_sees() -> None:
    translator = seasons(blocks=2)
    network, side = translator.into["b"].double(), 160
    x = torch.rand(1, 3, side, side, dtype=torch.float64) * 2 - 1
    with torch.no_grad():
        with recorded_statistics(network) as statistics:
            network(x)
        for place in (80, 81, 82, 83):
            other = x.clone()
            other[0, :, place, place] += 0.5
            with fixed_statistics(network, statistics):
                changed = (network(x) != network(other)).any(1)[0].nonzero()
            distance = int((changed - place).abs().max())
            assert distance <= tiles.reach(network) <= distance + 12


def test_memory_is_bounded() -> None:
    """The network is never given more than a tile's pixels, whatever the picture."""
    translator, areas = seasons(), list[int]()
    translator.into["b"].register_forward_pre_hook(lambda _, args: areas.append(args[0].numel() // args[0].shape[1]))
    for height, width in ((96, 96), (97, 300), (400, 250), (3, 2000), (2000, 9)):
        pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        assert tiles.translate_tiled(translator, pixels, "b", side=96).shape == pixels.shape
    assert max(areas) <= 96 * 96


def test_windows_are_spread_over_the_picture() -> None:
    for height, width in ((1000, 1500), (64, 4000), (3000, 10), (300, 300)):
        pixels = np.arange(height * width, dtype=np.int64).reshape(height, width, 1)
        windows = tiles.windows(seasons(), pixels, 256 * 256)  # type: ignore[arg-type]
        assert windows[..., 0].size <= 256 * 256
        middle = np.divmod(windows[:, windows.shape[1] // 2, windows.shape[2] // 2, 0], width)
        for places, length, part in zip(middle, (height, width), windows.shape[1:], strict=False):
            assert abs(places.mean() / length - 0.5) < 0.1 and (part == length or np.ptp(places) > length / 2)


def test_a_large_picture_is_near_the_whole_and_has_no_seams() -> None:
    translator = seasons()
    small = np.random.default_rng(1).integers(0, 256, (20, 25, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(small).resize((500, 400), Image.Resampling.BICUBIC))
    whole, parts = (tiles.translate_tiled(translator, pixels, "b", side=side).astype(int) for side in (1024, 192))
    assert np.abs(parts - whole).mean() < 6
    with fixed_statistics(translator.into["b"], tiles.window_statistics(translator, pixels, "b", 192 * 192)):
        as_one = tiles.translate_tiled(translator, pixels, "b", side=1024).astype(int)
    assert np.abs(parts - as_one).max() <= 1
