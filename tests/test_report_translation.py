"""The report of a translator."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measuring import blobs, pair_folder, stand_in
from PIL import Image
from reporting import Page
from support import in_memory, noise

from simulacra.measure.choose import choose
from simulacra.measure.evaluate import evaluate
from simulacra.publish.report import report
from simulacra.publish.report.translations import _nearest
from simulacra.training.options import train

SECTIONS = ["verdict", "translations", "film", "scores", "curves", "health", "data", "settings", "certificate"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a few steps on a pair; never scored."""
    folder, images = tmp_path_factory.mktemp("report"), blobs(40) // 4
    names = ([f"{i}.png" for i in range(40)], [f"{i}.jpg" for i in range(40)])
    data = pair_folder(folder / "data", images, 255 - images, names=names, test=10)
    for letter in "ab":
        Image.fromarray(noise(1, (3, 300, 500))[0]).save(data / letter / "sheet.png")
    options: dict[str, Any] = {"total": 48, "every": 16, "save_every": 24}
    return train(data, run=folder / "run", gan="cyclegan:tiny", quiet=True, **options)


@pytest.fixture
def run(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SIMULACRA_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(trained, tmp_path / "run"))


def test_a_bare_run_shows_pictures_and_says_what_is_missing(run: Path) -> None:
    page = Page(report(run))
    assert [element["id"] for element in page.all("section")] == SECTIONS
    assert {element["href"] for element in page.all("a")} == {f"#{name}" for name in SECTIONS[1:]}
    for verb in ("choose", "evaluate"):
        assert f"simulacra {verb} {run}" in page.text
    for words in (
        "30 and 30 training pictures", "ones to others", "others to ones", "ones, original", "as others", "and back",
        "ground truth", "Pictures of the test part", "check of what translations hide", "30 for training, 10 for test",
        "not checked: whether the translations of this checkpoint hide pictures",
    ):  # fmt: skip
        assert words in page.text, words
    for words in ("seed to seed", "Truncation", "latent", "Nearest training", "memoris", "always the same seeds"):
        assert words not in page.text, words
    alts = [element["alt"] for element in page.all("img")]
    assert sum("ground truth" in alt for alt in alts) == 2 and sum("data sheet" in alt for alt in alts) == 2
    assert sum("at 3 moments of the training" in alt for alt in alts) >= 4


def test_a_scored_run_tells_both_directions(run: Path) -> None:
    choose(run, samples=20, extractor=stand_in())
    certificate, _ = evaluate(run, samples=20, extractor=stand_in())
    page = Page(report(run))
    assert "missing" not in "".join(attributes.get("class", "") for attributes in page.all("p"))
    for words in (
        "Of 2 checkpoints", "averaged over both directions", "10 other real ones", "For the untranslated pictures it is",
        "A translation differs from its ground-truth pair by", certificate["honesty"]["a2b"]["sentence"], "honesty, b2a",
        "Means of both directions", "20 translations of training pictures each way", "translations of test pictures",
        "pair-l1-ratio", "cycle-l1-disturbed",
    ):  # fmt: skip
        assert words in page.text, words
    chinese = Page(report(run, language="zh"))
    assert certificate["honesty"]["a2b"]["sentence"] not in chinese.text.partition("JSON")[0]
    for warning in certificate["warnings"]:
        assert warning not in chinese.text.partition("JSON")[0]
    assert re.search(r"<figcaption>kid-coarse-same\s.*?ones to others.*?others to ones.*?mean", page.source, re.DOTALL)
    assert len(page.all("table")) == len(page.all("caption")) + 2, "rows of pictures have none"


def test_without_names_the_nearest_real_stands_beside(run: Path, tmp_path: Path) -> None:
    images = blobs(12) // 4
    data = pair_folder(tmp_path / "nameless", images, 255 - images)
    config = json.loads((run / "config.json").read_text())
    config["data"] |= {"source": str(data), "hash": json.loads((data / "data.json").read_text())["hash"]}
    (run / "config.json").write_text(json.dumps(config))
    page = Page(report(run))
    assert "nearest real" in page.text and "ground truth" not in page.text
    assert "There are no others, so the model was trained on these." in page.text
    shutil.rmtree(data)
    page = Page(report(run))
    assert "is no longer where it was" in page.text and "nearest real" not in page.text


def test_the_nearest_real_is_the_nearest() -> None:
    reals = noise(20)
    nearest = _nearest([np.clip(reals[7].astype(int) + 3, 0, 255).astype(np.uint8)], in_memory(reals))
    assert np.array_equal(nearest[0], reals[7])
