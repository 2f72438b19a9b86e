"""The commands that README, start and guide pages print are run in their order, on few pictures and for few steps.

Those of the course run as notebooks (`test_course.py`).
"""

from __future__ import annotations

import itertools
import os
import shlex
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import Cli
from test_readme import READMES, ROOT, simulacra_lines

from simulacra import cli

PAGES = [path for path in (READMES[0], *sorted((ROOT / "docs" / "start").glob("*.md"))) if ".zh" not in path.name]
GUIDE = [path for path in sorted((ROOT / "docs" / "guide").glob("*.md")) if ".zh" not in path.name]
FOLDERS = ("photos", "drawings", "generated", "others", "summer", "winter")
LENGTHS = ("--minutes", "--total", "--count", "--seeds")
SHORT = {  # instead of the lengths
    "prepare": "--limit 10",
    "train": "--total 32 --measure-every 0 --device cpu",
    "fork": "--total 48",
    "upscale": "--total 32",
    "lab ring": "--plays 2",
    "sample": "--count 5 --device cpu",
    "walk": "--seconds 0.1",
    "directions": "--samples 32 --count 1",
    "evaluate": "--samples 10 --metrics fd",
}
SHORT_TRAIN = ("--measure-every", "0", "--device", "cpu")
NOT_RUN = {
    **dict.fromkeys(("explore", "studio", "--page"), "a server"),
    **dict.fromkeys(("demo", "check-gan"), "takes seconds, and has tests of its own"),
    **dict.fromkeys(
        ("publish", "hub:OWNER/faces", "s3://bucket/shards/faces"), "the network; see test_hub and test_remote_shards"
    ),
    "...": "stands for more shards",
    "plan": "needs 114 pictures",
    "worth": "needs a model of labels",
    "mygan/mygan/gan.py:Mygan": "would stay registered",
    "path/to/file.py:MyGAN": "would stay registered",
}
TOO_LONG = (
    "export",
    "score",
    "compare",
    "distances",
    "wgan-gp",
)  # seconds each; they run where a guide page shows them


def shortened(line: str) -> list[str]:
    """The words of a command, with few steps instead of its length, and the current folder as the home."""
    words = shlex.split(line)
    for option in LENGTHS:
        if option in words:
            del words[words.index(option) : words.index(option) + 2]
    short = SHORT.get(words[0]) or SHORT.get(" ".join(words[:2]), "")
    return [word.removeprefix("~/") for word in words] + short.split()


def make_folders(place: Path) -> None:
    """Ten pictures in each folder."""
    random = np.random.default_rng(0)
    for folder in FOLDERS:
        (place / folder).mkdir()
        for i in range(10):
            pixels = np.kron(random.integers(0, 255, (4, 4, 3)), np.ones((36, 36, 1))).astype(np.uint8)
            Image.fromarray(pixels).save(place / folder / f"{i}.png")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_the_commands_of_a_page_run_in_their_order(
    page: Path, run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_folders(tmp_path)
    for line in simulacra_lines(page):
        if not {*NOT_RUN, *TOO_LONG} & set(line.split()):
            status, _, err = run_cli(*shortened(line))
            assert status == 0, f"simulacra {line}: {err}"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the guide's pages speak of: pictures, prepared data, shards, runs."""
    place = tmp_path_factory.mktemp("world")
    make_folders(place)
    for kind, folder in (("Sneaker", "photos"), ("Boot", "drawings")):
        shutil.copytree(place / folder, place / "clothes" / kind)
    commands = [
        "prepare photos faces --size 32 --split 0.5 0.5 0",
        "prepare summer winter seasons --size 32",
        "prepare peeps people --size 16 --limit 40",
        "train faces --total 16",
        "prepare clothes wardrobe --size 16 --split 1 0 0",
        "train seasons --total 16",
        "train people --total 16 conditional=true",
        "train wardrobe --total 16 --run RUN conditional=true",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for line in commands:
            patch.setattr(sys, "argv", ["simulacra", *line.split(), *SHORT_TRAIN * line.startswith("train")])
            with pytest.raises(SystemExit, match="0"):
                cli.main()
    for name in ("drawings-r3gan", "faces", "slow", "one", "two"):
        shutil.copytree(place / "runs" / "faces-r3gan", place / "runs" / name)
    with zipfile.ZipFile(place / "photos.zip", "w") as file:
        for picture in (place / "photos").iterdir():
            file.write(picture, picture.name)
    shutil.copy(place / "photos" / "0.png", place / "photo.jpg")
    np.savez(place / "fakes.npz", np.load(place / "faces" / "images.npy"))
    shutil.copytree(place / "faces", place / "data" / "faces")
    return place


@pytest.mark.skipif("SIMULACRA_SOAK" not in os.environ, reason="minutes: make soak runs it")
@pytest.mark.parametrize("page", [page for page in GUIDE if simulacra_lines(page)], ids=lambda path: path.stem)
def test_the_commands_of_a_guide_page_run(
    page: Path, world: Path, run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each finds the folder as the page speaks of it, whatever the lines before it did."""
    monkeypatch.chdir(shutil.copytree(world, tmp_path / "world"))
    for line in simulacra_lines(page):
        words = shortened(line)
        if NOT_RUN.keys() & set(words):
            continue
        if "glasses, hair: red" in words:
            words[words.index("RUN")] = "runs/people-r3gan"
        for word in words:
            if (world / word).is_dir() and not Path(word).exists():
                shutil.copytree(world / word, word)
        for old in replaced(words):
            shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)
        status, _, err = run_cli(*words)
        assert status == 0, f"simulacra {line}: {err}"


def replaced(words: list[str]) -> list[Path]:
    """What a command writes where another line has written before."""
    places = list(itertools.takewhile(lambda word: not word.startswith("-"), words[1:]))
    if words[0] == "prepare":
        return [Path(places[-1])]
    if words[0] in ("export", "mix", "sample", "walk"):
        return [Path(places[1])]
    if words[0] == "fork":
        return [Path("runs") / places[1]]
    if words[0] == "train" and "--run" not in words:
        return list(Path("runs").glob(f"{places[0]}-*"))
    return [Path(words[words.index("--run") + 1])] if "--run" in words else []
