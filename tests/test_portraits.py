"""The built-in people: as many as promised, balanced, small on disk, labelled with what the pixels show."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from simulacra.data import portraits
from simulacra.data.dataset import verify
from simulacra.data.opening import open_domain
from simulacra.data.portraits import PREFIXES, peeps, table

FOLDER = Path(portraits.__file__).parent / "peeps"
PIXELS = "2c182d463986eadc2daf9b1a1d43075dbe000eb88052c227c125f328f9ffde85"  # sha256
TABLE = "a574817dd305a1f93743547b0e4cba0a0f15fc0aaa8add560be8f67f98e5f24d"
# A pixel (row, column) that shows nothing but this, whatever else the person wears.
PLACES = {"skin": (27, 40), "clothes": (59, 10), "background": (0, 0)}
COLORS = {
    "skin": {"pale": 0xFFDBB4, "light": 0xEDB98A, "tan": 0xD08B5B, "brown": 0xA55F34, "dark": 0x755443},
    "clothes": {
        "red": 0xDD5F58,
        "yellow": 0xF3C64F,
        "green": 0x5FB073,
        "blue": 0x5A84D6,
        "purple": 0xA071C9,
        "white": 0xF6F4EE,
    },
    "background": {"sky": 0xCFE4F5, "mint": 0xD2ECD8, "sand": 0xF4E7CD, "rose": 0xF7D5D6, "lilac": 0xDCD5F0},
}
HAIR_COLORS = {"black": 0x26202A, "brown": 0x7A4A30, "blond": 0xE6BD5C, "red": 0xCC4A1C, "gray": 0xB9B6B8}


def colors() -> np.ndarray:
    """The pictures with one number a pixel, 0xRRGGBB: [N, 64, 64]."""
    red, green, blue = np.moveaxis(peeps().images.astype(np.int64), 3, 0)
    packed: np.ndarray = red << 16 | green << 8 | blue
    return packed


def column(name: str) -> np.ndarray:
    return np.array([row[name] for row in table()])


def test_what_is_promised() -> None:
    people = peeps()
    assert people.images.shape == (3000, 64, 64, 3) and people.images.dtype == np.uint8
    assert people.labels is not None
    assert people.labels.shape == (3000, len(people.attributes)) and people.labels.dtype == np.float32
    assert set(np.unique(people.labels)) == {0.0, 1.0}
    assert len(set(people.attributes)) == len(people.attributes)
    assert dict(people.splits) == {"train": 2400, "valid": 300, "test": 300}
    assert not people.images.flags.writeable and not people.labels.flags.writeable
    assert [len(people.split(part)) for part in people.splits] == [2400, 300, 300]


def test_small_on_disk_and_credited() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {"NOTICE.md", "peeps.csv", "peeps.webp"}
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 3_000_000
    notice = (FOLDER / "NOTICE.md").read_text(encoding="utf-8")
    assert "Pablo Stanley" in notice and "CC0 1.0" in notice


def test_the_same_data_for_ever() -> None:
    """New pictures would be a new data set: runs made with the old ones could not resume on it."""
    assert hashlib.sha256(peeps().images.tobytes()).hexdigest() == PIXELS
    assert hashlib.sha256((FOLDER / "peeps.csv").read_bytes()).hexdigest() == TABLE
    verify(peeps())
    before = peeps().hash
    peeps.cache_clear()
    assert peeps().hash == before
    assert open_domain("peeps") is peeps()


def test_no_two_pictures_are_the_same() -> None:
    assert len({picture.tobytes() for picture in peeps().images}) == 3000
    assert len({tuple(row.values()) for row in table()}) == 3000


@pytest.mark.parametrize("name", PREFIXES)
def test_even(name: str) -> None:
    """Each choice comes as often as the next, in the whole set within five and in each part within chance."""
    values = column(name)
    choices = sorted(set(values) - {"none"})
    counts = Counter(values.tolist())
    share = (values != "none").mean()
    assert share == pytest.approx({"beard": 0.35, "glasses": 0.35}.get(name, 1.0), abs=0.05)
    spread = max(counts[c] for c in choices) - min(counts[c] for c in choices)
    assert spread <= (20 if name == "hair_color" else 1)  # a bald chin has no colour of hair, by chance
    for part in (values[:2400], values[2400:2700], values[2700:]):
        part = part[part != "none"]
        expected = len(part) / len(choices)
        chi_square = sum(((part == choice).sum() - expected) ** 2 / expected for choice in choices)
        freedom = len(choices) - 1
        assert chi_square < freedom + 4 * (2 * freedom) ** 0.5


@pytest.mark.parametrize("pair", [p for p in combinations(PREFIXES, 2) if set(p) != {"hair", "hair_color"}])
def test_independent(pair: tuple[str, str]) -> None:
    """No column tells of another: chi-square of the pair's table, within four deviations of its mean."""
    if "hair_color" in pair:  # "none" means bald and shaven: leave those people out
        selected = column("hair") != "bald"
    else:
        selected = np.ones(3000, dtype=bool)
    rows, columns = (np.unique(column(name)[selected], return_inverse=True)[1] for name in pair)
    counts = np.zeros((rows.max() + 1, columns.max() + 1))
    np.add.at(counts, (rows, columns), 1)
    expected = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / counts.sum()
    freedom = (counts.shape[0] - 1) * (counts.shape[1] - 1)
    assert ((counts - expected) ** 2 / expected).sum() < freedom + 4 * (2 * freedom) ** 0.5


@pytest.mark.parametrize("name", PLACES)
def test_the_table_tells_the_colour_of_the_pixel(name: str) -> None:
    y, x = PLACES[name]
    assert (colors()[:, y, x] == [COLORS[name][choice] for choice in column(name)]).all()


def test_hair_has_the_colour_of_the_table() -> None:
    """Of the five colours of hair, the one in the table is in the picture, and no other is."""
    pixels = colors()
    areas = {name: (pixels == color).sum((1, 2)) for name, color in HAIR_COLORS.items()}
    for i, name_of_color in enumerate(column("hair_color")):
        for name, area in areas.items():
            assert (area[i] > 10) == (name == name_of_color)


def test_sunglasses_are_dark_and_a_beard_changes_the_chin() -> None:
    brightness = peeps().images.mean(3)  # [N, 64, 64]
    glasses, beard = column("glasses"), column("beard")
    eyes = brightness[:, 27:32, 36:48].mean((1, 2))
    for skin in COLORS["skin"]:
        same = column("skin") == skin
        assert eyes[same & (glasses == "sunglasses")].mean() < 0.6 * eyes[same & (glasses == "none")].mean()
        if skin != "dark":
            chin = brightness[same & (column("hair_color") == "black")][:, 42:46, 36:46].mean((1, 2))
            bearded = beard[same & (column("hair_color") == "black")]
            assert chin[bearded == "long"].mean() < 0.6 * chin[bearded == "none"].mean()


def test_everyone_is_framed_alike() -> None:
    """Plain background along the top, beside the head on the right, and in the upper left corner."""
    images = peeps().images.astype(np.int16)
    distance = np.abs(images - images[:, :1, :1]).max(3)  # [N, 64, 64], distance from the background
    assert distance[:, 0].max() < 32  # a trace of the tallest hair
    assert not distance[:, :16, :3].any() and not distance[:, :48, 62:].any()
    assert (distance[:, 20:40, 24:44] > 0).mean((1, 2)).min() > 0.95  # and a head in the middle


def test_labels_say_what_the_table_says() -> None:
    people = peeps()
    assert people.labels is not None
    named = dict(zip(people.attributes, people.labels.T, strict=True))
    for name, prefix in PREFIXES.items():
        own = [key for key in named if key.startswith(f"{prefix}: ")]
        assert {key.split(": ")[1] for key in own} == set(column(name)) - {"none"}
        assert (sum(named[key] for key in own) == (column(name) != "none")).all()
        for key in own:
            assert ((column(name) == key.split(": ")[1]) == named[key]).all()
    assert named["glasses"].sum() == named["beard"].sum() == 1050
    assert named["smile"].mean() == 0.5
    assert (named["bald"] == named["style: bald"]).all()
    assert not (named["bald"] * named["long hair"]).any()


def test_the_table_is_a_copy() -> None:
    table()[0]["hair"] = "changed"
    assert table()[0]["hair"] != "changed"


def test_torch_is_not_needed() -> None:
    code = "import sys; from simulacra.data.portraits import peeps; peeps(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
