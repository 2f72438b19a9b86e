"""The originals of a dataset's pictures: the same crops at two, four or eight times the size, as datasets inside it.

An upscaler is trained on them. They are stored as plain arrays, which can be memory-mapped: those at a factor f take f²
times the bytes of the packed pictures. Each picture stays in its part, train, valid or test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from simulacra.console import progress
from simulacra.data.dataset import SPLITS, Dataset, content_hash
from simulacra.data.decoding import DecodeOptions, ImageInfo, crop_box
from simulacra.data.opening import FORMAT, open_domain
from simulacra.data.prepare_options import FACTORS
from simulacra.data.selection import Packer
from simulacra.data.writing import ArrayTarget, Task, new_array, run
from simulacra.errors import SimulacraError
from simulacra.files import read_json, write_json
from simulacra.messages import text


@dataclass(frozen=True)
class Originals:
    """What data.json says of the originals at one factor."""

    factor: int
    count: int  # pictures that have one
    megabytes: float


def folder_of(data: Path, factor: int) -> Path:
    """The folder of the originals at `factor` inside a dataset's folder."""
    return data / f"originals-x{factor}"


def write_originals(packer: Packer, folder: Path, name: str, splits: Mapping[str, int]) -> dict[str, Any]:
    """Write the originals of the packed pictures, for each factor up to that of the options.

    Returns count and hash by factor, for data.json. A picture whose crop is smaller than a factor asks for has no
    original at it. Raises SimulacraError for a picture that has changed since it was packed.
    """
    infos = [packer.infos[number] for number in packer.chosen]
    records: dict[str, Any] = {}
    for factor in (factor for factor in FACTORS if factor <= packer.options.keep_originals):
        height, width = packer.target.options.size
        decoding = replace(packer.target.options, size=(height * factor, width * factor))
        rows = [row for row, info in enumerate(infos) if _is_large_enough(info, decoding)]
        records[str(factor)] = {"count": len(rows)}
        if rows:
            data = _write(packer, folder_of(folder, factor), f"{name}-x{factor}", decoding, rows, splits)
            records[str(factor)]["hash"] = data.hash
    return records


def summary(data: Dataset) -> list[Originals]:
    """What originals a dataset has, by factor; empty for one that was prepared without."""
    record = {} if data.path is None else read_json(data.path / "data.json").get("originals", {})
    nbytes = data.images.nbytes / max(1, len(data.images)) / 1e6
    return [Originals(int(f), entry["count"], entry["count"] * nbytes * int(f) ** 2) for f, entry in record.items()]


def open_originals(data: Dataset, factor: int) -> Dataset:
    """The originals of a whole dataset at `factor`, as a dataset.

    Raises SimulacraError for a dataset that has none, and for other ones than it was prepared with.
    """
    records = {entry.factor: entry for entry in summary(data)}
    values: dict[str, Any] = {"data": data.path or data.name, "factor": factor}
    if data.path is None or factor not in records:
        height, width = data.images.shape[1:3]
        raise SimulacraError("data.no_originals", **values, size=f"{width}x{height}")
    if not records[factor].count:
        height, width = (side * factor for side in data.images.shape[1:3])
        raise SimulacraError("data.originals_too_small", **values, size=f"{width}x{height}")
    originals = open_domain(folder_of(data.path, factor))
    if originals.hash != read_json(data.path / "data.json")["originals"][str(factor)]["hash"]:
        raise SimulacraError("data.damaged_dataset", path=originals.path)
    return originals


def _is_large_enough(info: ImageInfo, decoding: DecodeOptions) -> bool:
    """Whether a picture has a pixel of its own for each one at this size."""
    left, top, right, bottom = crop_box(info.width, info.height, decoding.size, decoding.crop)
    return round(right - left) >= decoding.size[1] and round(bottom - top) >= decoding.size[0]


def _write(
    packer: Packer, folder: Path, name: str, decoding: DecodeOptions, rows: list[int], splits: Mapping[str, int]
) -> Dataset:
    """Decode the pictures in `rows` once more, into a dataset of its own."""
    folder.mkdir()
    items = [packer.source.items[packer.chosen[row]] for row in rows]
    target = ArrayTarget(folder / "images.npy", decoding)
    new_array(target, len(rows))
    with progress(
        text("data.keeping_originals", factor=decoding.size[0] // packer.target.options.size[0]), len(rows)
    ) as step:
        for outcomes in run(target, [Task(i, item) for i, item in enumerate(items)], packer.options.workers):
            for reject in (outcome.reject for outcome in outcomes if outcome.reject):
                raise SimulacraError("data.original_changed", name=reject.name, reason=reject.reason)
            step(len(outcomes))
    images = np.load(target.path, mmap_mode="r", allow_pickle=False)
    ends = np.cumsum([0, *(splits[part] for part in SPLITS)])
    counts = np.diff(np.searchsorted(rows, ends)).tolist()
    own = dict(zip(SPLITS, counts, strict=True))
    data = Dataset(name, None, images, None, (), (), own, content_hash(images, None))
    record = {"name": name, "shape": list(images.shape), "splits": own, "hash": data.hash}
    write_json(folder / "names.json", [item.name for item in items])
    record |= {"classes": [], "attributes": []}
    write_json(folder / "data.json", {"what": Dataset.WHAT, "format": FORMAT} | record)
    return data
