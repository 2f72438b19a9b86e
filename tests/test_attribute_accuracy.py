"""Attribute accuracy: high for a model that draws its attributes, 0.5 for one that ignores them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from support import on_disk, refused
from torch import Tensor

from simulacra.data.dataset import content_hash
from simulacra.gan import Generator
from simulacra.measure.attribute_accuracy import _areas
from simulacra.measure.evaluate import evaluate
from simulacra.measure.printing import print_certificate
from simulacra.training.options import train

NAMES = ("left", "top", "rare")


pytestmark = pytest.mark.usefixtures("coarse_extractor")


def halves(labels: NDArray[Any], seed: int = 0) -> NDArray[np.uint8]:
    """Pictures [n, 16, 16, 3] whose left half, or upper half, is brighter where the attribute is there."""
    pictures = np.random.default_rng(seed).integers(0, 60, (len(labels), 16, 16, 3))
    pictures[:, :, :8] += 90 * (labels[:, 0] > 0.5)[:, None, None, None]
    pictures[:, :8] += 90 * (labels[:, 1] > 0.5)[:, None, None, None]
    return pictures.astype(np.uint8)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A conditional run of a few steps on 200 pictures of two attributes that show, and of one that two of them have."""
    labels = (np.random.default_rng(0).random((200, 3)) < (0.5, 0.3, 0)).astype(np.float32)
    labels[:2, 2] = 1
    pictures = halves(labels)
    folder = on_disk(tmp_path_factory.mktemp("data") / "halves", pictures)
    np.save(folder / "labels.npy", labels)
    record = json.loads((folder / "data.json").read_text()) | {"attributes": list(NAMES)}
    record["hash"] = content_hash(pictures, labels, (), NAMES)
    (folder / "data.json").write_text(json.dumps(record))
    words = {"conditional": True}
    return train(
        folder,
        gan="dcgan:tiny",
        run=tmp_path_factory.mktemp("runs") / "conditional",
        total=40,
        quiet=True,
        settings=words,
    )


def drawing(change: Any) -> Any:
    """Pictures of a model that draws `change` of what it is asked for."""

    def pictures(self: Generator, seeds: range, **_: Any) -> Iterator[Tensor]:
        y = self.conditions(seeds)
        assert y is not None
        yield torch.from_numpy(halves(change(y.numpy()), seed=1)).permute(0, 3, 1, 2).float() / 127.5 - 1

    return pictures


def test_what_is_drawn_as_asked_and_what_is_not(run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scores = {}
    changes = {"as asked": lambda y: y, "opposite": lambda y: 1 - y, "whatever": lambda y: np.zeros_like(y)}
    for way, change in changes.items():
        monkeypatch.setattr("simulacra.gan.Generator.pictures", drawing(change))
        certificate, _ = evaluate(run, samples=400, metrics=["attributes"], out=tmp_path / f"{way}.json")
        scores[way] = certificate["scores"]["attributes-coarse-same"]
        assert scores[way]["low"] <= scores[way]["value"] <= scores[way]["high"] <= 1
        assert (scores[way]["floor"] or 0) > 0.95, "of reals"
        *lines, rare = certificate["attributes"]["lines"]
        assert [line["attribute"] for line in lines] == ["left", "top"] and rare["agreement"] is None
        assert abs(lines[0]["n"] - 200) < 60 and abs(lines[1]["n"] - 120) < 60
        mean = sum(line["agreement"]["value"] for line in lines) / 2
        assert scores[way]["value"] == pytest.approx(mean, abs=1e-5)
    assert scores["as asked"]["value"] > 0.95
    assert scores["opposite"]["value"] < 0.05
    assert scores["whatever"]["low"] < 0.5 < scores["whatever"]["high"]


def test_it_comes_by_itself_for_a_model_that_is_told_them(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    certificate, path = evaluate(run, samples=60)
    assert "attributes-coarse-same" in certificate["scores"] and "within" not in certificate
    print_certificate(certificate, path)
    out = capsys.readouterr().out
    assert "Each attribute" in out and "None" not in out and all(name in out for name in NAMES)


def test_it_needs_a_model_that_is_told_the_attributes(tmp_path: Path) -> None:
    folder = on_disk(tmp_path / "plain", halves(np.zeros((20, 2))))
    plain = train(folder, gan="mlp:tiny", run=tmp_path / "r", total=20, quiet=True)
    with refused("measure.no_attributes"):
        evaluate(plain, samples=8, metrics=["attributes"])
    assert "attributes" not in evaluate(plain, samples=30)[0]


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans(), st.integers(0, 3)), min_size=2, max_size=12))
def test_the_area_is_its_definition(rows: list[tuple[int, bool, int]]) -> None:
    """Over all pairs of one that has it and one that has it not, each as often as it was drawn; a tie is half."""
    logits = np.array([logit for logit, _, _ in rows], np.float64)
    has, counts = np.array([has for _, has, _ in rows]), np.array([[times for *_, times in rows]], np.float64)
    pairs = [(i, j, counts[0, i] * counts[0, j]) for i in np.flatnonzero(has) for j in np.flatnonzero(~has)]
    total = sum(weight for *_, weight in pairs)
    wins = sum(weight * (logits[i] > logits[j]) + weight * (logits[i] == logits[j]) / 2 for i, j, weight in pairs)
    assert float(_areas(logits, has, counts)[0]) == pytest.approx(wins / total if total else 0.5)
