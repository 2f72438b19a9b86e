"""The stills of a report on a model that translates: unseen pictures, their translations, what comes back, and true partners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from simulacra.data.dataset import Dataset, Pair
from simulacra.data.feed import unpacked
from simulacra.measure.model_under_test import subsample
from simulacra.measure.translation.both_directions import held_out
from simulacra.measure.translation.ground_truth import ground_truth_pairs
from simulacra.publish.report.contents import Evidence
from simulacra.publish.report.gallery import MOMENTS, data_sheets
from simulacra.publish.report.images import TILE, TRANSLATED, Picture, Tile, inlined, sheet, tiles_of
from simulacra.training.curves import stills, thinned
from simulacra.translator import OTHER, Side, Translator

SHOWN = 9  # pictures of each domain
COMPARED = 2000  # training pictures among which the nearest one is looked for
GROWN = 2  # rows of previews in the strip, for each direction
PARTS = {"train": "training", "valid": "validation", "test": "test"}


@dataclass(frozen=True)
class Shown:
    """A direction: its title, rows of tiles with their names, and what the last row is."""

    way: str
    rows: list[tuple[str, list[Tile]]]
    note: str


class Translations:
    """The pictures of a report, drawn once and inlined at a quality."""

    def __init__(self, told: Evidence) -> None:
        self.told, self.moments = told, thinned(stills(told.run), MOMENTS)
        self.shown: list[Shown] = []
        if told.translator is not None and isinstance(told.data, Pair):
            self.shown = [_direction(told.translator, told.data, side) for side in OTHER]

    def at(self, quality: int) -> dict[str, Any]:
        """Everything at a quality, under the names of the template."""
        return {
            "directions": [
                (
                    each.way,
                    [(name, self._row(row, f"{each.way}: {name}", quality)) for name, row in each.rows],
                    each.note,
                )
                for each in self.shown
            ],
            "strip": self._strip(quality),
            "moments": [int(path.stem) for path in self.moments],
            "data_sheets": data_sheets(self.told, quality),
        }

    def _row(self, tiles: Sequence[Tile], alt: str, quality: int) -> Picture:
        return inlined(sheet(tiles, len(tiles)), alt, width=TILE * len(tiles), quality=quality)

    def _strip(self, quality: int) -> list[Picture]:
        """A row for each of some pictures: itself, and its translation at moments of the training."""
        if len(self.moments) < 2:
            return []
        _, height, width = self.told.shape
        shots = []
        for path in self.moments:
            with Image.open(path) as preview:
                shots.append(np.atleast_3d(np.asarray(preview)))
        down, half = min(GROWN, shots[0].shape[0] // height), TRANSLATED // 2
        rows = []
        for y, x in [(y, x) for x in (0, half) for y in range(down)]:
            tiles = [shot[y * height : (y + 1) * height, :, :] for shot in shots]
            given = tiles[0][:, x * width : (x + 1) * width]
            rows.append([given, *(tile[:, (x + 1) * width : (x + 2) * width] for tile in tiles)])
        alt = f"A picture, and its translation at {len(shots)} moments of the training"
        return [self._row(row, alt, quality) for row in rows]


@torch.no_grad()
def _direction(translator: Translator, data: Pair, side: Side) -> Shown:
    """Some pictures of a domain, never chosen by hand."""
    part = held_out(data)
    names = dict(zip(OTHER, data.domains, strict=True))
    given, aims = (_domain(data, part, each) for each in (side, OTHER[side]))
    known = ground_truth_pairs(data, part)
    known = known if side == "a" else known[:, ::-1]
    rows = subsample(len(given), SHOWN)
    if len(known):
        rows = known[subsample(len(known), SHOWN), 0]
    images = unpacked(given.images[rows], translator.device)
    there = translator.translate(images, OTHER[side])
    back = translator.translate(there, side)
    tiles = [(f"{names[side]}, as given", list(given.images[rows])), (f"as {names[OTHER[side]]}", tiles_of(there))]
    tiles.append(("and back", tiles_of(back)))
    note = f"Pictures of the {PARTS[part]} part, chosen at random."
    if part == "train":
        note += " There are no others, so the model was trained on these."
    if len(known):
        partner = dict(known.tolist())
        tiles.append(("true partner", [aims.images[partner[row]] for row in rows.tolist()]))
        note += " The true partner is known by its file's name; the training never saw which picture belongs to which."
    else:
        tiles.append(("nearest real", _nearest(tiles[1][1], _domain(data, "train", OTHER[side]))))
        note += f" The nearest real is the training picture of {names[OTHER[side]]} that differs least, pixel by pixel."
    return Shown(f"{names[side]} to {names[OTHER[side]]}", tiles, note)


def _domain(data: Pair, part: str, side: Side) -> Dataset:
    return (data.a if side == "a" else data.b).split(part)


def _nearest(tiles: Sequence[Tile], reals: Dataset) -> list[Tile]:
    """The real picture that differs least from each."""
    known = np.array(reals.images[subsample(len(reals), COMPARED)])
    return [known[int(np.abs(known - tile.astype(np.float32)).mean((1, 2, 3)).argmin())] for tile in tiles]
