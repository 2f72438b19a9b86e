"""A set of pictures after each was looked at: features, and small versions to search for copies and to show.

Pictures are decoded, looked at and dropped. What remains of them goes to files of a temporary folder, which are mapped
into memory, so that memory hardly grows with their number.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from simulacra import distributed
from simulacra.console import Advance
from simulacra.data.rejects import Reject
from simulacra.measure import grain
from simulacra.measure.extractors.features import Extractor, Features
from simulacra.measure.model_under_test import subsample
from simulacra.measure.picture_sets import CHUNK, PictureSet, Size, decoded
from simulacra.measure.score_records import SetRecord
from simulacra.messages import Message

SMALL = 128  # px of the longer side of the versions that are searched for copies and shown
REJECTS = 20  # of a set that are listed by name


@dataclass(eq=False)
class Rows:
    """Numbers in a temporary file, a row a picture."""

    values: NDArray[Any]
    count: int = 0

    @classmethod
    def new(cls, path: Path, at_most: int, shape: tuple[int, ...], dtype: Any) -> Rows:
        """Space for `at_most` rows; disk is taken as they are filled."""
        return cls(np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(at_most, *shape)))

    def add(self, values: NDArray[Any]) -> None:
        """Append rows."""
        self.values[self.count : self.count + len(values)] = values
        self.count += len(values)

    @property
    def filled(self) -> NDArray[Any]:
        """The rows so far."""
        rows: NDArray[Any] = self.values[: self.count]
        return rows


@dataclass(eq=False)
class FeatureRows:
    """Features of pictures that come one at a time: computed in batches, kept in temporary files."""

    extractor: Extractor
    path: Path  # of the files, to which a number is added
    at_most: int
    layers: dict[str, Rows] = field(default_factory=dict)  # float64
    waiting: list[NDArray[np.uint8]] = field(default_factory=list)

    @property
    def features(self) -> Features:
        """Features [N, D] by layer; float64, so that scores need no copy of them."""
        return {layer: rows.filled for layer, rows in self.layers.items()}

    def add(self, pixels: NDArray[np.uint8]) -> None:
        """Add a picture [H, W, 3]."""
        self.waiting.append(pixels)
        if len(self.waiting) == self.extractor.batch:
            self.flush()

    def flush(self) -> None:
        """Compute the features of the pictures that wait for their batch to be full."""
        if not self.waiting:
            return
        batch = torch.from_numpy(np.stack(self.waiting)).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
        self.waiting.clear()
        for layer, values in self.extractor(batch).items():
            if layer not in self.layers:
                path = self.path.with_name(f"{self.path.name}{len(self.layers)}.npy")
                self.layers[layer] = Rows.new(path, self.at_most, tuple(values.shape[1:]), np.float64)
            self.layers[layer].add(values.numpy())


@dataclass(eq=False)
class MeasuredSet:
    """A set after its pictures were looked at. Those beyond `samples` are searched for copies and have no features."""

    pictures: PictureSet
    rows: list[int] = field(default_factory=list)  # of usable pictures in the source
    scored: list[int] = field(default_factory=list)  # places in `rows` of those with features
    layers: Features = field(default_factory=dict)
    untreated: Features = field(default_factory=dict)  # of the pictures that `grain` compares
    small: Rows | None = None  # [N, h, w, 3]
    digests: list[bytes] = field(default_factory=list)  # of those with features; of all where none has any
    rejects: list[Reject] = field(default_factory=list)
    resized: int = 0
    enlarged: int = 0

    def __len__(self) -> int:
        return len(self.scored)

    def tiles(self, places: Iterable[int]) -> list[NDArray[np.uint8]]:
        """Small versions [h, w, 3] of pictures, by their places in `rows`."""
        assert self.small is not None
        return [np.array(self.small.filled[place]) for place in places]

    def batches(self, places: NDArray[np.int64]) -> Iterator[Tensor]:
        """Small versions of pictures as batches [n, 3, h, w] in [-1, 1]."""
        assert self.small is not None
        for start in range(0, len(places), 64):
            part = np.array(self.small.filled[places[start : start + 64]])
            yield torch.from_numpy(part).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)

    def title(self, place: int) -> str:
        """The name of a picture, by its place in `rows`."""
        return self.pictures.title(self.rows[place])

    def record(self, size: Size) -> SetRecord:
        """For the record of the scores."""
        rejects = [*self.pictures.rejects, *self.rejects]
        digest = hashlib.sha256(b"".join(sorted(self.digests))).hexdigest()
        record: Any = {"name": self.pictures.name, "kind": self.pictures.kind, "hash": digest}
        record |= {
            "pictures": len(self) or len(self.rows),
            "of": self.pictures.count,
            "size": list(size),
            "resized": self.resized,
            "enlarged": self.enlarged,
        }
        record |= {"set_aside": len(rejects), "rejects": [reject.to_json() for reject in rejects[:REJECTS]]}
        whole: SetRecord = record | self.pictures.origin
        return whole


def measure(
    pictures: PictureSet, size: Size, at_most: tuple[int, int], extractor: Extractor, folder: Path, advance: Advance
) -> MeasuredSet:
    """Look at the pictures of a set, of which each process has a part. at_most: with features, and in all."""
    folder.mkdir()
    scored, rows = (subsample(pictures.count, number).tolist() for number in (at_most[0], max(at_most)))
    measured, chosen = MeasuredSet(pictures), set(scored)
    features = FeatureRows(extractor, folder / "features", len(scored))
    grained = set(subsample(pictures.count, min(grain.PICTURES, len(scored))) if grain.possible(extractor) else [])
    untreated = FeatureRows(extractor.untreated, folder / "untreated", len(grained))
    start, stop = distributed.share(len(rows), math.lcm(CHUNK, extractor.batch))
    advance = distributed.progress_of_all(advance, stop - start, len(rows))
    for chunk in decoded(pictures, rows[start:stop], size):
        usable = [picture.pixels for picture in chunk if picture.pixels is not None]
        if usable:
            _add_small(measured, np.stack(usable), len(rows), folder)
        for picture in chunk:
            if picture.pixels is None:
                measured.rejects += [picture.reject] if picture.reject else []
                continue
            measured.rows.append(picture.row)
            measured.resized += picture.size != size
            measured.enlarged += picture.size[0] < size[0] or picture.size[1] < size[1]
            if picture.row in chosen or not chosen:
                measured.digests.append(hashlib.sha256(picture.pixels.data).digest())
            if picture.row in chosen:
                measured.scored.append(len(measured.rows) - 1)
                features.add(picture.pixels)
            if picture.row in grained:
                untreated.add(picture.pixels)
        advance(len(chunk))
    for values in (features, untreated):
        values.flush()
        values.layers = _joined(values.layers, values.path)
    _join(measured)
    measured.layers, measured.untreated = features.features, untreated.features
    small = _joined({"small": measured.small} if measured.small else {}, folder / "small")
    measured.small = small.get("small")
    return measured


def _join(measured: MeasuredSet) -> None:
    """Put what all processes have found in a row, by rank."""
    if distributed.world() == 1:
        return
    rejects = [
        [reject.name, reject.reason.code, _plain(reject.reason.values), reject.detail] for reject in measured.rejects
    ]
    own = {"rows": measured.rows, "scored": measured.scored, "digests": [digest.hex() for digest in measured.digests]}
    own |= {"rejects": rejects, "resized": int(measured.resized), "enlarged": int(measured.enlarged)}
    everyone = distributed.exchange(own)
    measured.scored = [
        place + sum(len(earlier["rows"]) for earlier in everyone[:rank])
        for rank, part in enumerate(everyone)
        for place in part["scored"]
    ]
    measured.rows = [row for part in everyone for row in part["rows"]]
    measured.digests = [bytes.fromhex(digest) for part in everyone for digest in part["digests"]]
    measured.rejects = [
        Reject(name, Message(code, **values), detail)
        for part in everyone
        for name, code, values, detail in part["rejects"]
    ]
    measured.resized, measured.enlarged = (sum(part[name] for part in everyone) for name in ("resized", "enlarged"))


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a message as JSON."""
    return {name: value if isinstance(value, int | float) else str(value) for name, value in values.items()}


def _joined(tables: dict[str, Rows], path: Path) -> dict[str, Rows]:
    """The rows of all processes, by rank, in new files. path: of the files, to which a number is added."""
    if distributed.world() == 1:
        return tables
    own = [[name, rows.values.dtype.str, list(rows.values.shape[1:])] for name, rows in tables.items()]
    whole: dict[str, Rows] = {}
    # a process whose pictures are all unusable has no tables
    for name, dtype, columns in max(distributed.exchange(own), key=len):
        rows = tables[name].filled if name in tables else np.empty((0, *columns), dtype)
        count = sum(distributed.exchange(len(rows)))
        whole[name] = Rows.new(path.with_name(f"{path.name}-all{len(whole)}.npy"), count, tuple(columns), dtype)
        for part in distributed.rows_of_all(rows):
            whole[name].add(part)
    return whole


def _add_small(measured: MeasuredSet, pixels: NDArray[np.uint8], at_most: int, folder: Path) -> None:
    """Add small versions of pictures [n, H, W, 3]."""
    height, width = pixels.shape[1:3]
    scale = SMALL / max(height, width)
    if scale < 1:
        side = (max(1, round(height * scale)), max(1, round(width * scale)))
        packed = torch.from_numpy(pixels).permute(0, 3, 1, 2).float()
        pixels = interpolate(packed, side, mode="area").round_().byte().permute(0, 2, 3, 1).numpy()
    if measured.small is None:
        measured.small = Rows.new(folder / "small.npy", at_most, pixels.shape[1:], np.uint8)
    measured.small.add(pixels)
