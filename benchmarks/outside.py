"""Score the pictures of another toolkit as ours: `peers.py` trains and draws in an environment of its own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from simulacra.console import silent
from simulacra.data.dataset import Dataset
from simulacra.gan import Generator
from simulacra.grid import Grid
from simulacra.measure.certificate import certificate
from simulacra.measure.choose import REALS
from simulacra.measure.context import DrawContext
from simulacra.measure.extractors.features import Extractor
from simulacra.measure.metrics import Metric, by_name, find
from simulacra.measure.model_under_test import ModelUnderTest, fakes_of
from simulacra.measure.protocol import SeedProtocol
from simulacra.measure.scores import ResampledScore, score_features, score_name

PREVIEWS = 64


class StoredPictures:
    """Pictures of a file in place of a generator: seed n is the n-th picture."""

    def __init__(self, path: Path) -> None:
        self.images = np.load(path, mmap_mode="r")  # [N, H, W, C] uint8

    def pictures(self, seeds: Sequence[int], *, batch: int = 64) -> Iterator[Tensor]:
        """Batches [n, C, H, W] in [-1, 1]."""
        for start in range(0, len(seeds), batch):
            packed = torch.from_numpy(np.array(self.images[list(seeds[start : start + batch])]))
            yield packed.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def save_grid(path: Path, pictures: Tensor) -> None:
    """Pictures [N, C, H, W] as one PNG."""
    grid = Grid(len(pictures), (pictures.shape[1], pictures.shape[2], pictures.shape[3]))
    for picture in pictures:
        grid.add(picture)
    grid.image().save(path)


def moment_scores(path: Path, protocol: SeedProtocol, metrics: Iterable[Metric]) -> dict[str, ResampledScore]:
    """Scores by name of the pictures in a file, in place of those that a checkpoint of ours draws."""
    generator = cast(Generator, StoredPictures(path))
    fakes = fakes_of(generator, protocol.extractor, protocol.seeds, lambda n: None)
    return score_features(protocol.extractor, protocol.reals, fakes, metrics)


def outside(
    python: Path, name: str, data: Dataset, out: Path, extractor: Extractor, *,
    minutes: float, moments: int, samples: int, choice: int, seed: int, threads: int, words: Sequence[str],
    also: Extractor | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Train with `python`, choose the best moment, draw and score; returns a record of the run. words: of metrics."""

    def call(*arguments: object) -> None:
        script = Path(__file__).with_name("peers.py")
        quiet = {"OMP_NUM_THREADS": str(threads), "PYTHONWARNINGS": "ignore"}
        subprocess.run([python, script, *map(str, arguments)], check=True, env=os.environ | quiet)

    if not (out / "trained.json").exists():
        length = ("--minutes", minutes, "--moments", moments, "--choice", choice, "--seed", seed)
        call("train", name, data.path, out, *length)
    trained = json.loads((out / "trained.json").read_text())
    shared: dict[str, Any] = {"extractor": extractor, "begin": silent}
    protocol = SeedProtocol(data, on="train", samples=choice, reals=REALS, choosing=True, **shared)
    metrics = {metric.name: metric for metric in (by_name("fd"), protocol.lead_metric)}.values()
    scores = {path.stem: moment_scores(path, protocol, metrics) for path in out.glob("*-*.npy")}
    best = min(scores.keys() - {"0-1"}, key=lambda stem: scores[stem][protocol.leads].resampled.value)
    moment, _, psi = best.partition("-")
    call("draw", name, out, "--moment", moment, "--psi", psi, "--samples", samples)
    drawn = StoredPictures(out / "drawn.npy")
    save_grid(out / "grid.png", next(drawn.pictures(range(min(PREVIEWS, samples)), batch=PREVIEWS)))
    config = {"gan": name, "task": "draw", "data_hash": data.hash}
    digest = hashlib.sha256(drawn.images.tobytes()).hexdigest()[:16]
    context = DrawContext(
        generator=cast(Generator, drawn),
        data=data,
        on="train",
        seeds=range(samples),
        mirrored=bool(trained["augmented"]),
        **shared,
    )
    model = ModelUnderTest(folder=out, run=None, hash=digest, config=config)
    record = {
        "images": trained["shown"][-1],
        "best": trained["shown"][int(moment)],
        "chose": f"ψ {psi}" if psi != "1" else "",
    }
    record |= {"seconds": trained["seconds"], "wall": trained["seconds"], "cpu": trained["cpu_seconds"], "health": []}
    record |= {"before": scores["0-1"][score_name(by_name("fd"), extractor)].resampled.value}
    record |= {"certificate": certificate(model, context, find(words, "draw"))}
    if also:
        further = certificate(model, replace(context, extractor=also), find(["fd"], "draw"))
        record["certificate"]["scores"] |= further["scores"]
    return record | {"settings": trained["settings"]}
