"""`simulacra train PICTURES`: the whole way by one command, which resumes wherever it was stopped."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measuring import blobs
from PIL import Image
from support import Cli, noise, on_disk
from test_faults import listing

from simulacra.data.selection import Packer
from simulacra.files import read_json
from simulacra.measure.choose import CheckpointScorer, choose, read_scores
from simulacra.storage import checkpoints
from simulacra.training.trainer import Trainer
from simulacra.workflow import is_pictures

WORDS = ["train", "photos", "--gan", "mlp:tiny", "--total", "32", "--every", "16", "--save-every", "16"]
WORDS += ["--precision", "fp32", "--device", "cpu", "--threads", "1", "batch=8"]
RUN, DATA = Path("runs/photos-mlp-tiny"), Path("runs/data/photos")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 40 pictures and a file that is none."""
    folder = tmp_path_factory.mktemp("pictures") / "photos"
    folder.mkdir()
    for number, pixels in enumerate(np.kron(blobs(40), np.ones((1, 2, 2, 1))).astype(np.uint8)):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    (folder / "broken.png").write_text("not a picture")
    return folder


@pytest.fixture
def home(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, coarse_extractor: None) -> Path:
    """The current folder, with nothing but the pictures."""
    monkeypatch.setattr("simulacra.data.prepare.write_sheet", lambda *_: None)  # plots take most of the time
    monkeypatch.setattr("simulacra.training.run.drawings", lambda folder: [])
    monkeypatch.setattr("simulacra.workflow.choose", partial(choose, samples=40))
    place = tmp_path / "home"
    shutil.copytree(pictures, place / "photos")
    monkeypatch.chdir(place)
    return place


def test_the_whole_way(home: Path, run_cli: Cli) -> None:
    status, out, err = run_cli(*WORDS)
    assert status == 0, err
    best = read_json(RUN / "best.json")["checkpoint"]
    (grid,) = RUN.glob(f"pictures/{best}-*/grid.png")
    for said in (DATA, RUN, grid, RUN / "film.webp", "40 pictures of photos", "1 picture was set aside"):
        assert str(said) in out
    assert len(read_scores(RUN)) == len(checkpoints(RUN)) == 2
    before = listing(home)
    status, out, _ = run_cli(*WORDS)
    assert status == 0 and str(grid) in out and "already there" in out
    again = listing(home)
    assert before.keys() == again.keys()
    assert all(before[name] == again[name] for name in before if not name.endswith("config.json"))


def test_changed_pictures_become_another_dataset(home: Path, run_cli: Cli) -> None:
    """And changed back, they go on with the first run."""
    assert run_cli(*WORDS, "--measure-every", "0")[0] == 0
    first = listing(home / "runs")
    Image.fromarray(noise(1, (3, 32, 32))[0]).save("photos/new.png")
    status, out, _ = run_cli(*WORDS, "--measure-every", "0")
    assert status == 0 and f"{DATA}-2" in out and "was not made of" in out
    assert Path("runs/photos-2-mlp-tiny/checkpoints/000000032").is_dir()
    assert first.items() <= listing(home / "runs").items()
    Path("photos/new.png").unlink()
    status, out, _ = run_cli(*WORDS, "--measure-every", "0")
    assert status == 0 and f"{DATA} is already there" in out
    assert {path.name for path in Path("runs").iterdir()} == {"data", "photos-mlp-tiny", "photos-2-mlp-tiny"}


def test_the_size_is_chosen(home: Path, run_cli: Cli) -> None:
    assert run_cli(*WORDS, "--measure-every", "0", "--size", "8x16")[0] == 0
    assert read_json(DATA / "data.json")["shape"] == [40, 16, 8, 3]
    status, _, err = run_cli("train", DATA, "--size", "16")
    assert status == 1 and "'size'" in err


def interrupted(function: Callable[..., Any], call: int = 1) -> Callable[..., Any]:
    """The function, with Ctrl-C pressed in its `call`-th call."""
    calls = []

    def wrapped(*args: Any, **how: Any) -> Any:
        calls.append(1)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGINT)
        return function(*args, **how)

    return wrapped


def test_ctrl_c_at_any_stage_loses_nothing_and_says_how_to_go_on(
    home: Path, run_cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages: list[tuple[Any, str, int, Callable[[], bool]]] = [
        (Packer, "run", 1, lambda: not list(DATA.parent.glob("*"))),
        (Trainer, "step", 2, lambda: len(checkpoints(RUN)) == 1 and not (RUN / "best.json").exists()),
        (CheckpointScorer, "line", 2, lambda: len(read_scores(RUN)) >= 1),
    ]
    for owner, name, call, reached in stages:
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, interrupted(getattr(owner, name), call))
            status, out, err = run_cli(*WORDS)
        assert status == 130 and reached(), err
        assert f"To go on: simulacra {' '.join(WORDS)}" in err and "Traceback" not in out + err
    assert run_cli(*WORDS)[0] == 0
    (grid,) = RUN.glob("pictures/*/grid.png")
    assert read_json(RUN / "best.json")["checkpoint"] in grid.parent.name
    assert int(checkpoints(RUN)[-1].name) == 32 and len(read_scores(RUN)) == len(checkpoints(RUN))


def test_runs_among_the_pictures_are_refused(home: Path, run_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("photos")
    before = listing(home)
    status, _, err = run_cli("train", ".", *WORDS[2:])
    assert status == 1 and "--run" in err and listing(home) == before
    assert not Path("runs").exists()


def test_a_dry_run_prepares_nothing(home: Path, run_cli: Cli) -> None:
    before = listing(home)
    status, out, _ = run_cli(*WORDS, "--dry-run")
    assert status == 0 and "simulacra prepare" in out and listing(home) == before


def test_what_is_taken_for_pictures(home: Path, pictures: Path) -> None:
    data = on_disk(home / "prepared", noise(8))
    half = Path(shutil.copytree(data, home / "half"))
    (half / "data.json").unlink()
    run = home / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "journal.jsonl").touch()
    archive = shutil.make_archive("photos", "zip", "photos")
    assert is_pictures(str(pictures)) and is_pictures(archive)
    assert not any(map(is_pictures, map(str, ("peeps", home / "gone", data, half, run))))
