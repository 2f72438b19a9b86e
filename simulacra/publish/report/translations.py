"""The still pictures of a translator's report: unseen pictures, their translations and reconstructions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from simulacra.data.dataset import Dataset, Pair
from simulacra.data.feed import to_tensor
from simulacra.measure.model_under_test import subsample
from simulacra.measure.translation.both_directions import held_out
from simulacra.measure.translation.ground_truth import ground_truth_pairs
from simulacra.messages import text
from simulacra.publish.report.formatting import part_name
from simulacra.publish.report.gallery import MOMENTS, data_sheets, inline_row
from simulacra.publish.report.images import TRANSLATED, InlinePicture, Tile, tiles_of
from simulacra.publish.report.run_contents import RunContents
from simulacra.training.curves import open_preview, stills, thinned
from simulacra.translator import OTHER, Side, Translator

PICTURES = 9  # of each domain
COMPARED = 2000  # training pictures among which the nearest one is searched
STRIP_ROWS = 2  # rows of previews in the strip, for each direction


@dataclass(frozen=True)
class DirectionPictures:
    """One direction of a translator: its title, rows of tiles with their names, and a note."""

    title: str
    rows: list[tuple[str, list[Tile]]]
    note: str


class TranslationGallery:
    """The pictures of a translator's report, drawn once and inlined at any quality."""

    def __init__(self, run: RunContents) -> None:
        self.run, self.moments = run, thinned(stills(run.folder), MOMENTS)
        self.directions: list[DirectionPictures] = []
        if run.translator is not None and isinstance(run.data, Pair):
            self.directions = [_direction(run.translator, run.data, side) for side in OTHER]

    def at(self, quality: int) -> dict[str, Any]:
        """All pictures at a WebP quality, under the names of the template."""
        return {
            "directions": [
                (
                    direction.title,
                    [(name, inline_row(row, f"{direction.title}: {name}", quality)) for name, row in direction.rows],
                    direction.note,
                )
                for direction in self.directions
            ],
            "strip": self._strip(quality),
            "moments": [int(path.stem) for path in self.moments],
            "data_sheets": data_sheets(self.run, quality),
        }

    def _strip(self, quality: int) -> list[InlinePicture]:
        """Rows of a picture and its translation at moments of the training."""
        if len(self.moments) < 2:
            return []
        _, height, width = self.run.shape
        previews = []
        for path in self.moments:
            previews.append(np.atleast_3d(np.asarray(open_preview(path))))
        down, half = min(STRIP_ROWS, previews[0].shape[0] // height), TRANSLATED // 2
        alt = text("report.alt_translation_strip", moments=len(previews))
        rows = []
        for y, x in [(y, x) for x in (0, half) for y in range(down)]:
            bands = [pixels[y * height : (y + 1) * height, :, :] for pixels in previews]
            original = bands[0][:, x * width : (x + 1) * width]
            translations = [band[:, (x + 1) * width : (x + 2) * width] for band in bands]
            rows.append(inline_row([original, *translations], alt, quality))
        return rows


@torch.no_grad()
def _direction(translator: Translator, data: Pair, side: Side) -> DirectionPictures:
    """Randomly chosen pictures of a domain, translated and translated back."""
    part = held_out(data)
    names = dict(zip(OTHER, data.domains, strict=True))
    source, target = (_domain(data, part, domain) for domain in (side, OTHER[side]))
    pairs = ground_truth_pairs(data, part)
    pairs = pairs if side == "a" else pairs[:, ::-1]
    rows = pairs[subsample(len(pairs), PICTURES), 0] if len(pairs) else subsample(len(source), PICTURES)
    images = to_tensor(source.images[rows], translator.device)
    translated = translator.translate(images, OTHER[side])
    reconstructed = translator.translate(translated, side)
    tiles = [
        (text("report.row_original", domain=names[side]), list(source.images[rows])),
        (text("report.row_translation", domain=names[OTHER[side]]), tiles_of(translated)),
        (text("report.row_reconstruction"), tiles_of(reconstructed)),
    ]
    notes = [text("report.random_pictures", part=part_name(part))]
    if part == "train":
        notes.append(text("report.random_of_training"))
    if len(pairs):
        truth = dict(pairs.tolist())
        tiles.append((text("report.row_ground_truth"), [target.images[truth[row]] for row in rows.tolist()]))
        notes.append(text("report.ground_truth_note"))
    else:
        reals = _domain(data, "train", OTHER[side])
        tiles.append((text("report.nearest_real"), _nearest(tiles[1][1], reals)))
        notes.append(text("report.nearest_real_note", domain=names[OTHER[side]]))
    title = text("report.direction", a=names[side], b=names[OTHER[side]])
    return DirectionPictures(title, tiles, text("report.space").join(notes))


def _domain(data: Pair, part: str, side: Side) -> Dataset:
    return (data.a if side == "a" else data.b).split(part)


def _nearest(tiles: Sequence[Tile], reals: Dataset) -> list[Tile]:
    """The real picture that differs least from each tile, pixel by pixel."""
    candidates = np.array(reals.images[subsample(len(reals), COMPARED)])
    return [candidates[int(np.abs(candidates - tile.astype(np.float32)).mean((1, 2, 3)).argmin())] for tile in tiles]
