"""Two domains made into a pair: every known layout, domains of any size and kind, and what is no pair."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import refused

from simulacra.data.dataset import Dataset, Pair, verify
from simulacra.data.domains import parts_of
from simulacra.data.inspect import inspect
from simulacra.data.opening import open_domain, open_pair
from simulacra.data.prepare import prepare
from simulacra.messages import Message


def pictures(folder: Path, n: int, *, colour: bool = True, size: tuple[int, int] = (24, 20), seed: int = 0) -> Path:
    """`n` different PNGs."""
    folder.mkdir(parents=True, exist_ok=True)
    source = np.random.default_rng(seed)
    for i in range(n):
        Image.fromarray(source.integers(0, 256, (*size, 3) if colour else size, dtype=np.uint8)).save(
            folder / f"{i:03d}.png"
        )
    return folder


def test_two_folders_become_a_pair(tmp_path: Path) -> None:
    a, b = pictures(tmp_path / "photos" / "Summer", 30), pictures(tmp_path / "photos" / "winter", 20, seed=1)
    pair = prepare(a, tmp_path / "pair", b=b, size=16)
    assert pair.domains == ("Summer", "winter") and pair.name == "pair"
    assert (len(pair.a), len(pair.b)) == (30, 20)
    assert dict(pair.a.splits) == {"train": 24, "valid": 3, "test": 3}
    assert dict(pair.b.splits) == {"train": 16, "valid": 2, "test": 2}
    test = pair.split("test")
    assert (len(test.a), len(test.b)) == (3, 2)
    verify(pair)
    for letter in "ab":
        assert open_domain(tmp_path / "pair" / letter).shape == (3, 16, 16), "each is a data set of its own"
        assert (tmp_path / "pair" / letter / "sheet.png").is_file()


@pytest.mark.parametrize("places", [
    {"trainA": 12, "trainB": 10, "testA": 4, "testB": 3},
    {"set/trainA": 12, "set/trainB": 10, "set/testA": 4, "set/testB": 3},
    {"train_a": 12, "train_b": 10, "test_a": 4, "test_b": 3},
    {"train/A": 12, "train/B": 10, "test/A": 4, "test/B": 3},
])  # fmt: skip
@pytest.mark.parametrize("packed", [False, True])
def test_parts_that_a_layout_gives_are_kept(places: dict[str, int], packed: bool, tmp_path: Path) -> None:
    for seed, (place, n) in enumerate(places.items()):
        pictures(tmp_path / "in" / place, n, seed=seed)
    source = tmp_path / "in"
    if packed:
        source = Path(shutil.make_archive(str(tmp_path / "in"), "zip", source))
    pair = prepare(source, tmp_path / "pair", size=16)
    assert isinstance(pair, Pair) and pair.domains == ("A", "B")
    for data, n, held in ((pair.a, 12, 4), (pair.b, 10, 3)):
        assert dict(data.splits) == {"train": n - 1, "valid": 1, "test": held}
        assert data.path is not None
        letter = "a" if data is pair.a else "b"
        names = json.loads((tmp_path / "pair" / letter / "names.json").read_text())
        assert all("test" in name.lower() for name in names[-held:]) and not any(
            "test" in n.lower() for n in names[:-held]
        )
        with Image.open(tmp_path / "in" / names[-1]) as original:  # rows and names agree
            expected = np.array(original.convert("RGB").resize((16, 16), Image.Resampling.BOX)).mean()
        assert abs(float(data.images[-1].mean()) - expected) < 12
    verify(pair)
    assert not [path.name for path in (tmp_path / "pair").iterdir() if path.name not in ("a", "b", "data.json")]


def test_a_and_b_alone_are_split_by_the_seed(tmp_path: Path) -> None:
    for seed, letter in enumerate("AB"):
        pictures(tmp_path / "in" / letter, 20, seed=seed)
    pair = prepare(tmp_path / "in", tmp_path / "pair", size=16)
    assert isinstance(pair, Pair) and dict(pair.b.splits) == {"train": 16, "valid": 2, "test": 2}
    classed = prepare(tmp_path / "in", tmp_path / "classes", size=16, labels="folder")
    assert isinstance(classed, Dataset) and classed.classes == ("A", "B")


def test_same_names_lie_in_the_same_part(tmp_path: Path) -> None:
    a, b = pictures(tmp_path / "one", 40), pictures(tmp_path / "two", 40, seed=1)
    prepare(a, tmp_path / "pair", b=b, size=16)
    names = [json.loads((tmp_path / "pair" / letter / "names.json").read_text()) for letter in "ab"]
    assert names[0] == names[1] != sorted(names[0])


@pytest.mark.parametrize("colours", [(True, False), (False, True), (False, False)])
def test_channels_are_those_of_both(colours: tuple[bool, bool], tmp_path: Path) -> None:
    a, b = (pictures(tmp_path / name, 8, colour=colour) for name, colour in zip(("one", "two"), colours, strict=True))
    pair = prepare(a, tmp_path / "pair", b=b, size=(16, 24))
    assert pair.shape == pair.a.shape == pair.b.shape == (3 if any(colours) else 1, 16, 24)


def test_a_domain_of_one_picture_and_of_other_sizes(tmp_path: Path) -> None:
    a, b = pictures(tmp_path / "one", 1, size=(9, 200)), pictures(tmp_path / "two", 5, size=(300, 40))
    pair = prepare(a, tmp_path / "pair", b=b, size=16)
    assert (len(pair.a.split("train")), len(pair.b.split("train"))) == (1, 5)
    with refused("data.empty_part", name="pair", part="test"):
        pair.split("test")


def test_what_cannot_be_a_pair_is_a_sentence(tmp_path: Path) -> None:
    a = pictures(tmp_path / "one", 6)
    (tmp_path / "empty").mkdir()
    for b, code in ((a, "data.same_domains"), (tmp_path / "empty", "data.no_files"),
                    (tmp_path / "nowhere", "data.no_source")):  # fmt: skip
        with refused(code):
            prepare(a, tmp_path / "pair", b=b, size=16)
        assert not (tmp_path / "pair").exists()


def test_a_pair_is_made_once_and_can_be_made_smaller(tmp_path: Path) -> None:
    a, b = pictures(tmp_path / "one", 10), pictures(tmp_path / "two", 10, seed=1)
    first = prepare(a, tmp_path / "pair", b=b, size=16)
    assert prepare(a, tmp_path / "pair", b=b, size=16).hash == first.hash
    changed = Message("data.option_was", name="size", before="16,16", now="8,8")
    with refused("data.out_has_other_options", options=[changed]):
        prepare(a, tmp_path / "pair", b=b, size=8)
    pictures(tmp_path / "two", 11, seed=2)
    with refused("data.out_has_other_pictures"):
        prepare(a, tmp_path / "pair", b=b, size=16)
    small = prepare(tmp_path / "pair", tmp_path / "small", size=8)
    assert isinstance(small, Pair) and small.shape == (3, 8, 8)
    with refused("data.is_a_pair"):
        inspect(tmp_path / "pair")


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("a/images.npy", "data.damaged_dataset"),
        ("b/data.json", "data.damaged_pair"),
        ("data.json", "data.damaged_pair"),
    ],
)
def test_a_damaged_pair_is_refused(what: str, code: str, tmp_path: Path) -> None:
    prepare(pictures(tmp_path / "one", 6), tmp_path / "pair", b=pictures(tmp_path / "two", 6, seed=1), size=16)
    path = tmp_path / "pair" / what
    if path.suffix == ".json":
        path.write_text(path.read_text().replace('"hash": "', '"hash": "0'))
    else:
        path.write_bytes(path.read_bytes()[:-1])
    with refused(code):
        open_pair(tmp_path / "pair")


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    prepare(pictures(tmp_path / "one", 6), tmp_path / "pair", b=pictures(tmp_path / "two", 6, seed=1), size=16)
    images = np.load(tmp_path / "pair" / "b" / "images.npy", mmap_mode="r+")
    images[0, 0, 0, 0] ^= 1
    images.flush()
    with refused("data.changed"):
        verify(open_pair(tmp_path / "pair"))


@pytest.mark.parametrize(("names", "pair"), [
    (["trainA/1.png", "trainB/2.png"], True),
    (["TrainA/1.png", "TrainB/2.png", "valA/3.png"], True),
    (["x/train/a/1.png", "x/train/b/2.png"], True),
    (["A/1.png", "B/2.png"], True),
    (["A/1.png", "B/2.png", "C/3.png"], False),
    (["A/1.png", "B/2.png", "3.png"], False),
    (["trainA/1.png", "testB/2.png"], False),
    (["trainA/1.png"], False),
    (["1.png", "2.png"], False),
    ([], False),
])  # fmt: skip
def test_which_names_are_those_of_a_pair(names: list[str], pair: bool) -> None:
    assert (parts_of(names) is not None) == pair
