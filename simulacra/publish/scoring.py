"""`score`: any two sets of pictures, with the files that show what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from simulacra import distributed
from simulacra.console import Begin, silent
from simulacra.errors import SimulacraError
from simulacra.files import atomic_file, disk_errors, read_json, write_json
from simulacra.grid import Grid
from simulacra.measure.extractors.features import DEFAULT, Extractor
from simulacra.measure.picture_sets import Where
from simulacra.measure.score_records import SetScores
from simulacra.measure.set_scores import FORMAT, SAMPLES, ScoredSets, score_sets
from simulacra.messages import text
from simulacra.publish.report import check_page
from simulacra.publish.report.images import Tile, fitted
from simulacra.publish.report.set_page import render_set_page

RECORD, PAIRS, PAGE = "score.json", "nearest.png", "report.html"  # in the folder
TILE = 128  # px of a picture in nearest.png, at least


def score(
    fakes: Where,
    reals: Where,
    *,
    unseen: Where | None = None,
    samples: int = SAMPLES,
    out: str | Path | None = None,
    html: str | Path | None = None,
    extractor: str | Extractor = DEFAULT,
    weights: str | Path | None = None,
    sha256: str | None = None,
    device: str | torch.device = "cpu",
    advance: Begin = silent,
) -> SetScores:
    """Score one set of pictures against another, whatever they are stored in; returns the record.

    fakes, reals: a folder, zip, tar, IDX, .npy or .npz file, a prepared dataset (its training pictures, or the part of
        `data/faces:valid`), a run, a checkpoint, a model folder; an array [N, H, W, C] uint8 or [N, C, H, W] of floats in
        [-1, 1]; a `Dataset` or a `Generator`. `peeps` is the bundled model as fakes and the built-in dataset as reals.
    unseen: real pictures that the fakes' model was not trained on; then the record says whether fakes are copies of
        `reals`. By default the other parts of `reals`, where it is a prepared dataset.
    samples: pictures of each set at most, a fixed subsample; as many are drawn from a model.
    out: a folder for `score.json`, `nearest.png` (fakes beside their nearest reals) and `report.html`. Those of other
        sets are renamed, not overwritten. html: a file for the report alone.
    extractor, weights, sha256: see `open_extractor`. device: where to compute. advance: for progress.

    Pictures of all sizes and modes are brought to one size; see `measure.picture_sets`. Unusable ones are set aside and
    named in the record. Raises `SimulacraError` for a set that is missing or has fewer than five usable pictures, and for
    files that are in the way.
    """
    folder = None if out is None else Path(out).expanduser()
    page = None if html is None else Path(html).expanduser()
    if page is not None:
        check_page(page)
    with distributed.group(torch.device(device)), nullcontext() if folder is None else _checked_folder(folder):
        scored = score_sets(
            fakes, reals, unseen=unseen, samples=samples, extractor=extractor, weights=weights, sha256=sha256,
            device=device, advance=advance,
        )  # fmt: skip
        if distributed.rank() == 0:
            _write(scored, folder, page)
    return scored.record


def _write(scored: ScoredSets, folder: Path | None, page: Path | None) -> None:
    """Write the files that are asked for."""
    rendered = render_set_page(scored) if folder is not None or page is not None else ""
    if folder is not None:
        _write_folder(folder, scored, rendered)
    if page is not None:
        _write_page(page, rendered)


@contextmanager
def _checked_folder(folder: Path) -> Iterator[None]:
    """Create the folder, and delete it again where the block fails. Raises `SimulacraError` where files are in the way."""
    record = folder / RECORD
    old = read_json(record) if record.is_file() else None
    if old is None:
        obstacle = next((folder / name for name in (RECORD, PAIRS, PAGE) if (folder / name).exists()), None)
    else:
        obstacle = None if isinstance(old, dict) and old.get("format") == FORMAT else record
    if obstacle is not None:
        raise SimulacraError("measure.not_a_score", path=obstacle)
    new = not folder.exists()
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if new and distributed.rank() == 0:
            folder.rmdir()
        raise


def _write_folder(folder: Path, scored: ScoredSets, page: str) -> None:
    record = folder / RECORD
    if record.is_file():
        old = read_json(record)
        if _hashes(old) != _hashes(scored.record):
            name = "-".join(digest[:8] for digest in _hashes(old))
            for path in (folder / name for name in (RECORD, PAIRS, PAGE)):
                if path.exists():
                    path.rename(path.with_name(f"{path.stem}-{name}{path.suffix}"))
    write_json(record, scored.record)
    if scored.pairs:
        with atomic_file(folder / PAIRS) as file:
            pairs_image(scored).save(file, "PNG")
    _write_page(folder / PAGE, page)


def _hashes(record: SetScores) -> tuple[str, str]:
    return record["fakes"]["hash"], record["reals"]["hash"]


def _write_page(path: Path, page: str) -> None:
    with atomic_file(path) as file:
        file.write(page.encode())


def pairs_image(scored: ScoredSets) -> Image.Image:
    """The fakes in one row and below each the real picture nearest to it."""
    tiles = [_enlarged(pair[side]) for side in (0, 1) for pair in scored.pairs]
    height, width, _ = tiles[0].shape
    names = [text("report.fakes"), text("report.nearest_real")]
    grid = Grid(len(tiles), (3, height, width), columns=len(scored.pairs), names=names)
    for tile in tiles:
        grid.add(torch.from_numpy(tile).permute(2, 0, 1).float() / 127.5 - 1)
    return grid.image()


def _enlarged(tile: Tile) -> Tile:
    return np.array(fitted(Image.fromarray(tile), max(TILE, tile.shape[1])))
