"""A power cut at any write of prepare, train, choose or report: the same command then ends as if there had been none.

`make soak` runs many more of them (SIMULACRA_SOAK).
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from support import differences, noise, on_disk, prepared, state
from test_faults import OPTIONS
from torn import Disk

from simulacra.data.dataset import verify
from simulacra.data.opening import open_dataset
from simulacra.files import read_json
from simulacra.measure.choose import choose
from simulacra.publish.report import report
from simulacra.storage import checkpoints, load
from simulacra.training.journal import read_journal
from simulacra.training.options import train
from simulacra.training.repair import examine_run

SOAK = int(os.environ.get("SIMULACRA_SOAK", "0"))
CUTS = range(max(4, SOAK))
FEW_CUTS = range(max(2, SOAK // 4))


def cut_at_random(
    root: Path, after: Path, call: Callable[[Path], object], seed: int, patch: pytest.MonkeyPatch
) -> None:
    """Run `call(root)` until a power cut at a random write; `after` is what it leaves."""
    rehearsal = (
        Path(shutil.copytree(root, after.with_name("rehearsal"))) if root.exists() else after.with_name("rehearsal")
    )
    rehearsal.mkdir(exist_ok=True)
    disk = Disk(rehearsal, after, seed=seed)
    assert disk.run(lambda: call(rehearsal), patch)
    root.mkdir(exist_ok=True)
    at = random.Random(seed).randint(1, disk.operations)
    assert not Disk(root, after, seed=seed, at=at).run(lambda: call(root), patch)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return on_disk(tmp_path_factory.mktemp("data") / "tiny", noise(24))


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(data, run=tmp_path_factory.mktemp("whole") / "run", total=48, **OPTIONS)


@pytest.mark.parametrize("seed", CUTS)
def test_train(seed: int, data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    after = tmp_path / "after"
    cut_at_random(tmp_path / "run", after, lambda run: train(data, run=run, total=48, **OPTIONS), seed, monkeypatch)
    train(data, run=after, total=48, **OPTIONS)
    assert not differences(state(whole), state(after))
    assert not differences(read_journal(whole / "journal.jsonl"), read_journal(after / "journal.jsonl"))
    for path in checkpoints(after):
        load(path)
    found = examine_run(after)
    assert not found.remaining and not found.repaired, "nothing is left over, and all is whole"


@pytest.mark.parametrize("seed", CUTS)
def test_prepare(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    for i, pixels in enumerate(noise(6)):
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{i}.png")
    after = tmp_path / "after"

    def make(root: Path) -> object:
        return prepared(tmp_path / "photos", root / "faces", size=8, workers=1)

    cut_at_random(tmp_path / "sets", after, make, seed, monkeypatch)
    make(after)
    dataset = open_dataset(after / "faces")
    verify(dataset)
    assert dataset.hash == open_dataset(tmp_path / "rehearsal" / "faces").hash


@pytest.mark.parametrize("seed", FEW_CUTS)
def test_choose(
    seed: int, whole: Path, tmp_path: Path, coarse_extractor: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, after = Path(shutil.copytree(whole, tmp_path / "run")), tmp_path / "after"
    cut_at_random(run, after, lambda run: choose(run, samples=12), seed, monkeypatch)
    assert choose(after, samples=12) == read_json(tmp_path / "rehearsal" / "best.json")
    assert not examine_run(after).remaining


@pytest.mark.parametrize("seed", FEW_CUTS)
def test_report(seed: int, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, after = Path(shutil.copytree(whole, tmp_path / "run")), tmp_path / "after"
    cut_at_random(run, after, report, seed, monkeypatch)
    page = after / "report.html"
    assert not page.exists() or page.read_text(encoding="utf-8").rstrip().endswith("</html>")
    report(after)
