"""The stills of a report, drawn once and inlined at whatever quality there is room for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from simulacra.data import dataset
from simulacra.publish.report import formatting
from simulacra.publish.report.contents import Evidence
from simulacra.publish.report.images import (
    SHEET,
    TILE,
    Picture,
    Tile,
    as_image,
    columns_for,
    cut,
    fakes,
    inlined,
    sheet,
    walk,
)
from simulacra.sampling import label_rows
from simulacra.training.curves import stills, thinned

WALKS, STEPS = 5, 8
SWEEP = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2)
SWEEP_SEEDS = range(5)
LABELS, LABEL_SEEDS = 10, range(8)  # rows and columns of pictures by label
PAIRS = 8  # nearest neighbours shown
MOMENTS, GROWN = 8, 3  # columns and rows of the strip of previews


@dataclass(frozen=True)
class Pair:
    """A fake and the training picture nearest to it."""

    fake: Picture
    real: Picture | None
    seed: int
    row: int
    distance: str
    quantile: str  # the share of unseen real pictures that come as near; empty where it is not known


class Gallery:
    """The pictures of a report, drawn once and inlined at a quality."""

    def __init__(self, told: Evidence) -> None:
        self.told, self.columns = told, columns_for(told.shape)
        generator, self.count = told.generator, self.columns**2
        self.walks = [] if generator is None else [walk(generator, 2 * i, 2 * i + 1, STEPS) for i in range(WALKS)]
        self.sweep: list[list[Tile]] = []
        if generator is not None:
            by_psi = [fakes(generator, SWEEP_SEEDS, truncation=psi) for psi in SWEEP]
            self.sweep = [list(row) for row in zip(*by_psi, strict=True)]
        self.fakes = [] if generator is None else fakes(generator, range(self.count))
        self.by_label: list[tuple[str, list[Tile]]] = []
        if generator is not None and generator.labels:
            rows = label_rows(generator)[:LABELS]
            self.by_label = [(name, fakes(generator, LABEL_SEEDS, label=label)) for name, label in rows]
        self.nearest, self.their_fakes = self._nearest()
        self.moments = thinned(stills(told.run), MOMENTS)

    def at(self, quality: int) -> dict[str, Any]:
        """Everything at a quality, under the names of the template."""
        return {
            "fake_sheet": self._fakes(quality),
            "real_sheet": self._reals(quality),
            "by_label": [
                (name, self._row(row, f"{len(row)} generated pictures, {name}", quality)) for name, row in self.by_label
            ],
            "walks": [
                self._row(row, f"{STEPS} steps from seed {2 * i} to seed {2 * i + 1}", quality)
                for i, row in enumerate(self.walks)
            ],
            "sweep": [
                self._row(row, f"Seed {seed} at truncation {SWEEP[0]} to {SWEEP[-1]}", quality)
                for seed, row in zip(SWEEP_SEEDS, self.sweep, strict=False)
            ],
            "psis": SWEEP,
            "strip": self._strip(quality),
            "moments": [int(path.stem) for path in self.moments],
            "pairs": self._pairs(quality),
            "data_sheets": data_sheets(self.told, quality),
        }

    def _row(self, tiles: Sequence[Tile], alt: str, quality: int) -> Picture:
        return inlined(sheet(tiles, len(tiles)), alt, width=TILE * len(tiles), quality=quality)

    def _fakes(self, quality: int) -> Picture | None:
        """Fakes as the model draws them; the last preview where it cannot be loaded."""
        alt = f"{self.columns} by {self.columns} generated pictures"
        if self.fakes:
            image = sheet(self.fakes, self.columns)
        elif previews := stills(self.told.run):
            image = self._open(previews[-1])
        else:
            return None
        return inlined(image, alt, width=SHEET, quality=quality)

    def _reals(self, quality: int) -> Picture | None:
        """Training pictures at random, the same each time; without the data, those that the run kept."""
        data, kept = self.told.data, self.told.run / "previews" / "real.png"
        if isinstance(data, dataset.Dataset):
            images = data.split("train").images
            rows = np.sort(np.random.default_rng(0).permutation(len(images))[: self.count])
            image = sheet(list(images[rows]), self.columns)
        elif kept.exists():
            image = self._open(kept)
        else:
            return None
        return inlined(image, f"{self.columns} by {self.columns} training pictures", width=SHEET, quality=quality)

    def _open(self, path: Path) -> Image.Image:
        with Image.open(path) as preview:
            return cut(preview, self.told.shape, self.columns, self.columns)

    def _strip(self, quality: int) -> list[Picture]:
        """A row for each of the first seeds: its picture at moments of the training."""
        _, height, width = self.told.shape
        shots, places = [], [(0, 0)]
        for path in self.moments:
            with Image.open(path) as preview:
                across, down = preview.width // width, preview.height // height
                # One below the other where rows are of classes, else the first row.
                places = [(i * down // GROWN, 0) if self.told.by_class else (0, i) for i in range(GROWN)]
                places = [(row, column) for row, column in places if row < down and column < across]
                shots.append(np.atleast_3d(np.asarray(preview)))
        if len(shots) < 2:
            return []
        rows = [[shot[y * height : (y + 1) * height, x * width : (x + 1) * width] for shot in shots] for y, x in places]
        return [
            self._row(row, f"Seed {y * across + x} at {len(row)} moments of the training", quality)
            for row, (y, x) in zip(rows, places, strict=True)
        ]

    def _nearest(self) -> tuple[list[dict[str, Any]], list[Tile]]:
        """The fakes nearest to a training picture, nearest first, as the certified model draws them."""
        judged = self.told.judged()
        if judged is None:
            return [], []
        generator, certificate = judged
        nearest = certificate.get("nearest", [])[:PAIRS]
        return nearest, fakes(generator, [found["seed"] for found in nearest])

    def _pairs(self, quality: int) -> list[Pair]:
        images = self.told.data.split("train").images if isinstance(self.told.data, dataset.Dataset) else None
        made = []
        for found, fake in zip(self.nearest, self.their_fakes, strict=True):
            seed, row = int(found["seed"]), int(found["train"])
            shown = inlined(as_image(fake), f"Generated picture of seed {seed}", width=TILE, quality=quality)
            real = None
            if images is not None and 0 <= row < len(images):
                real = inlined(as_image(images[row]), f"Training picture {row}", width=TILE, quality=quality)
            share = found.get("quantile")
            told = "" if share is None else f"{share:.1%}"
            made.append(Pair(shown, real, seed, row, formatting.number(float(found["distance"]), 1), told))
        return made


def data_sheets(told: Evidence, quality: int) -> list[Picture]:
    """The sheets that `prepare` drew, where they stand beside the data: one of each domain."""
    data = told.data
    if data is None or data.path is None:
        return []
    domains = zip("ab", data.domains, strict=True) if isinstance(data, dataset.Pair) else []
    places = {data.path / letter / "sheet.png": name for letter, name in domains} or {
        data.path / "sheet.png": data.name
    }
    made = []
    for path, name in places.items():
        if path.is_file():
            with Image.open(path) as drawn:
                image = drawn.convert("RGB")
            made.append(inlined(image, f"The data sheet of {name}", width=1200, quality=quality))
    return made
