"""The still pictures of a report, drawn once and inlined at any quality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from simulacra.data.dataset import Dataset, Pair
from simulacra.files import JsonObject
from simulacra.measure.context import labels_of
from simulacra.messages import text
from simulacra.publish.report.formatting import number
from simulacra.publish.report.images import (
    SHEET,
    TILE,
    InlinePicture,
    Tile,
    as_image,
    columns_for,
    crop_grid,
    fakes,
    inlined,
    sheet,
    walk_tiles,
)
from simulacra.publish.report.run_contents import RunContents
from simulacra.sampling import label_rows
from simulacra.training.curves import open_preview, stills, thinned

WALKS, WALK_STEPS = 5, 8
SWEEP = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2)
SWEEP_SEEDS = range(5)
LABELS, LABEL_SEEDS = 10, range(8)  # rows and columns of pictures by label
PAIRS = 8  # nearest neighbours shown
MOMENTS, STRIP_ROWS = 8, 3  # columns and rows of the strip of previews


@dataclass(frozen=True)
class NearestPair:
    """A fake and the training picture nearest to it."""

    fake: InlinePicture
    real: InlinePicture | None
    seed: int
    row: int
    distance: str
    quantile: str  # the share of unseen real pictures that come as near; empty if unknown


class Gallery:
    """The pictures of a generator's report."""

    def __init__(self, run: RunContents) -> None:
        self.run, self.columns = run, columns_for(run.shape)
        self.moments = thinned(stills(run.folder), MOMENTS)
        self.walks: list[list[Tile]] = []
        self.sweep: list[list[Tile]] = []
        self.fakes: list[Tile] = []
        self.by_label: list[tuple[str, list[Tile]]] = []
        if (generator := run.generator) is not None:
            self.walks = [walk_tiles(generator, 2 * i, 2 * i + 1, WALK_STEPS) for i in range(WALKS)]
            by_psi = [fakes(generator, SWEEP_SEEDS, truncation=psi) for psi in SWEEP]
            self.sweep = [list(row) for row in zip(*by_psi, strict=True)]
            self.fakes = fakes(generator, range(self.columns**2))
            if generator.labels:
                rows = label_rows(generator)[:LABELS]
                self.by_label = [(name, fakes(generator, LABEL_SEEDS, label=label)) for name, label in rows]
        self.nearest, self.nearest_fakes = self._nearest()

    def at(self, quality: int) -> dict[str, Any]:
        """All pictures at a WebP quality, under the names of the template."""

        def alt_walk(i: int) -> str:
            return text("report.alt_walk", steps=WALK_STEPS, first=2 * i, last=2 * i + 1)

        def alt_sweep(seed: int) -> str:
            return text("report.alt_sweep", seed=seed, low=SWEEP[0], high=SWEEP[-1])

        return {
            "fake_sheet": self._fake_sheet(quality),
            "real_sheet": self._real_sheet(quality),
            "by_label": [
                (name, inline_row(row, text("report.alt_label", n=len(row), label=name), quality))
                for name, row in self.by_label
            ],
            "walks": [inline_row(row, alt_walk(i), quality) for i, row in enumerate(self.walks)],
            "sweep": [
                inline_row(row, alt_sweep(seed), quality) for seed, row in zip(SWEEP_SEEDS, self.sweep, strict=False)
            ],
            "psis": SWEEP,
            "strip": self._strip(quality),
            "moments": [int(path.stem) for path in self.moments],
            "pairs": self._pairs(quality),
            "data_sheets": data_sheets(self.run, quality),
        }

    def _fake_sheet(self, quality: int) -> InlinePicture | None:
        """Fakes of the checkpoint; the last preview where it cannot be loaded."""
        if self.fakes:
            image = sheet(self.fakes, self.columns)
        elif previews := stills(self.run.folder):
            image = self._open(previews[-1])
        else:
            return None
        return inlined(image, text("report.alt_fakes", columns=self.columns), width=SHEET, quality=quality)

    def _real_sheet(self, quality: int) -> InlinePicture | None:
        """A fixed random choice of training pictures; without the data set, those in the run's folder."""
        data, saved = self.run.data, self.run.folder / "previews" / "real.png"
        if isinstance(data, Dataset):
            images = data.split("train").images
            rows = np.sort(np.random.default_rng(0).permutation(len(images))[: self.columns**2])
            image = sheet(list(images[rows]), self.columns)
        elif saved.exists():
            image = self._open(saved)
        else:
            return None
        return inlined(image, text("report.alt_reals", columns=self.columns), width=SHEET, quality=quality)

    def _open(self, path: Path) -> Image.Image:
        return crop_grid(open_preview(path), self.run.shape, self.columns, self.columns)

    def _strip(self, quality: int) -> list[InlinePicture]:
        """A row for each of the first seeds: its picture at moments of the training."""
        _, height, width = self.run.shape
        previews, places = [], [(0, 0)]
        for path in self.moments:
            preview = open_preview(path)
            across, down = preview.width // width, preview.height // height
            # One below the other where rows are classes, else the first row.
            places = [(i * down // STRIP_ROWS, 0) if self.run.by_class else (0, i) for i in range(STRIP_ROWS)]
            places = [(row, column) for row, column in places if row < down and column < across]
            previews.append(np.atleast_3d(np.asarray(preview)))
        if len(previews) < 2:
            return []
        rows = []
        for y, x in places:
            tiles = [pixels[y * height : (y + 1) * height, x * width : (x + 1) * width] for pixels in previews]
            rows.append(inline_row(tiles, text("report.alt_strip", seed=y * across + x, moments=len(tiles)), quality))
        return rows

    def _nearest(self) -> tuple[list[JsonObject], list[Tile]]:
        """The certificate's nearest matches, nearest first, and their fakes as the certified model draws them."""
        certified = self.run.certified_generator()
        if certified is None:
            return [], []
        generator, certificate = certified
        matches, y = certificate.get("nearest", [])[:PAIRS], None
        if matches and "attributes_of" in matches[0]:
            if not isinstance(self.run.data, Dataset):
                return [], []
            y = labels_of(self.run.data, [(part, row) for part, row in (match["attributes_of"] for match in matches)])
        return matches, fakes(generator, [match["seed"] for match in matches], y=y)

    def _pairs(self, quality: int) -> list[NearestPair]:
        images = self.run.data.split("train").images if isinstance(self.run.data, Dataset) else None
        pairs = []
        for match, tile in zip(self.nearest, self.nearest_fakes, strict=True):
            seed, row, share = int(match["seed"]), int(match["train"]), match.get("quantile")
            fake = inlined(as_image(tile), text("report.alt_fake", seed=seed), width=TILE, quality=quality)
            real = None
            if images is not None and 0 <= row < len(images):
                real = inlined(as_image(images[row]), text("report.alt_real", row=row), width=TILE, quality=quality)
            quantile = "" if share is None else f"{share:.1%}"
            pairs.append(NearestPair(fake, real, seed, row, number(float(match["distance"]), 1), quantile))
        return pairs


def inline_row(tiles: Sequence[Tile], alt: str, quality: int) -> InlinePicture:
    """Tiles side by side as one picture."""
    return inlined(sheet(tiles, len(tiles)), alt, width=TILE * len(tiles), quality=quality)


def data_sheets(run: RunContents, quality: int) -> list[InlinePicture]:
    """The sheets that `prepare` drew next to the data set, one for each domain."""
    data = run.data
    if data is None or data.path is None:
        return []
    domains = zip("ab", data.domains, strict=True) if isinstance(data, Pair) else []
    names = {data.path / letter / "sheet.png": name for letter, name in domains}
    sheets = []
    for path, name in (names or {data.path / "sheet.png": data.name}).items():
        if path.is_file():
            with Image.open(path) as picture:
                image = picture.convert("RGB")
            sheets.append(inlined(image, text("report.alt_data_sheet", name=name), width=1200, quality=quality))
    return sheets
