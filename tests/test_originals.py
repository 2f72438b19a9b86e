"""Originals: the same crops, larger, in the same parts; and datasets without them are as they always were."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import Cli, prepared, refused

from simulacra.data.dataset import SPLITS, verify
from simulacra.data.opening import open_domain
from simulacra.data.originals import open_originals, summary
from simulacra.data.prepare import prepare
from simulacra.data.prepare_options import PrepareOptions

TINY: dict[str, Any] = {"size": (8, 8), "workers": 1, "split": (0.5, 0.25, 0.25)}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 oblong pictures of noise: every third is only large enough for x2, every other third for x4."""
    root, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for number in range(24):
        side = (12, 16, 32)[number % 3]
        pixels = rng.integers(0, 256, (side, side + 6, 4), dtype=np.uint8)
        pixels[..., 3] = 255
        Image.fromarray(pixels).save(root / f"{number}.png")
    return root


def test_originals_are_the_same_crops_in_the_same_parts(pictures: Path, tmp_path: Path) -> None:
    data = prepared(pictures, tmp_path / "data", keep_originals=4, **TINY)
    plain = prepared(pictures, tmp_path / "plain", **TINY)
    assert data.hash == plain.hash, "the packed pictures do not change"
    assert [(entry.factor, entry.count) for entry in summary(data)] == [(2, 16), (4, 8)]
    names = json.loads((tmp_path / "data" / "names.json").read_text())
    for factor in (2, 4):
        originals = open_originals(data, factor)
        verify(originals)
        assert originals.images.shape[1:] == (8 * factor, 8 * factor, 3)
        assert originals.path is not None
        own = json.loads((originals.path / "names.json").read_text())
        for part in SPLITS:
            rows = [names.index(name) for name in _part(own, originals.splits, part)]
            assert {names[row] for row in rows} <= set(_part(names, data.splits, part))
        for name, pixels in zip(own, originals.images, strict=True):
            packed = Image.fromarray(data.images[names.index(name)]).convert("RGB")
            reduced = Image.fromarray(pixels).resize((8, 8), Image.Resampling.LANCZOS)
            assert np.abs(np.asarray(packed, int) - np.asarray(reduced, int)).mean() < 6, "noise, reduced in two steps"


def _part(names: list[str], splits: Any, part: str) -> list[str]:
    start = sum(splits[name] for name in SPLITS[: SPLITS.index(part)])
    return names[start : start + splits[part]]


def test_exactly_twice_the_size_gives_exact_pairs(tmp_path: Path) -> None:
    data = prepared("peeps", tmp_path / "peeps32", size=(32, 32), limit=40, keep_originals=2, workers=1)
    originals = open_originals(data, 2)
    for packed, pixels in zip(data.images, originals.images, strict=True):
        assert np.array_equal(packed, np.asarray(Image.fromarray(pixels).resize((32, 32), Image.Resampling.LANCZOS)))


@pytest.mark.parametrize(("channels", "count"), [("grey", 1), ("rgba", 4)])
def test_channels_are_those_of_the_packed_pictures(pictures: Path, tmp_path: Path, channels: Any, count: int) -> None:
    data = prepared(pictures, tmp_path / "data", keep_originals=2, channels=channels, **TINY)
    assert open_originals(data, 2).shape == (count, 16, 16)


def test_a_dataset_without_them_is_as_before(pictures: Path, tmp_path: Path, run_cli: Cli) -> None:
    assert "keep_originals" not in PrepareOptions().to_json(), "or an old dataset would have other options"
    data = prepared(pictures, tmp_path / "data", **TINY)
    assert summary(data) == []
    with refused("data.no_originals", factor=2, size="8x8"):
        open_originals(data, 2)
    with refused("data.out_has_other_options"):
        prepare(pictures, tmp_path / "data", keep_originals=2, **TINY)
    with refused("data.no_originals"):
        open_originals(open_domain("peeps"), 2)


def test_what_cannot_be(pictures: Path, tmp_path: Path) -> None:
    with refused("data.unknown_factor", factor=3):
        PrepareOptions(keep_originals=3)
    with refused("data.originals_of_pair"):
        prepare(pictures, tmp_path / "pair", b="peeps", keep_originals=2, **TINY)
    data = prepared(pictures, tmp_path / "large", keep_originals=2, workers=1, size=(32, 32))
    with refused("data.originals_too_small", size="64x64"):
        open_originals(data, 2)


def test_originals_of_another_dataset_are_refused(pictures: Path, tmp_path: Path) -> None:
    data = prepared(pictures, tmp_path / "data", keep_originals=2, **TINY)
    other = prepared(pictures, tmp_path / "other", keep_originals=2, seed=1, **TINY)
    for path in (data.path, other.path):
        assert path is not None
    (tmp_path / "data" / "originals-x2").rename(tmp_path / "moved")
    (tmp_path / "other" / "originals-x2").rename(tmp_path / "data" / "originals-x2")
    with refused("data.damaged_dataset"):
        open_originals(data, 2)


def test_the_command_says_how_many_and_how_large(pictures: Path, tmp_path: Path, run_cli: Cli) -> None:
    status, out, _ = run_cli(
        "prepare", str(pictures), str(tmp_path / "data"), "--size", "8", "--keep-originals", "2", "--workers", "1"
    )
    assert status == 0
    assert "Originals at x2: 16 pictures of 24" in out
