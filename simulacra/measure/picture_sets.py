"""Pictures of any source as one stream: folders, archives, arrays, prepared data, runs and models.

Two sets are brought to one size, the smaller of their median heights by the smaller of their median widths, at most
`LARGEST` px: each picture is cropped around its centre to that aspect and resized by an antialiased filter (Lanczos), as
`prepare` does it. A picture of that size is not touched, so that a model's pictures score as in `evaluate`.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simulacra.data.dataset import SPLITS, Dataset, verify
from simulacra.data.decoding import Data, DecodeOptions, decode, upright_size
from simulacra.data.items import Item
from simulacra.data.opening import is_prepared, open_domain
from simulacra.data.rejects import Reject, UnusablePicture
from simulacra.data.sources import open_source
from simulacra.data.stores import is_address
from simulacra.errors import SimulacraError
from simulacra.generator import Generator, to_image
from simulacra.hub import is_hub
from simulacra.measure.extractors.features import preprocess
from simulacra.measure.model_under_test import BATCH, FIRST_SEED, model_under_test, subsample
from simulacra.messages import Message
from simulacra.provenance import read_provenance
from simulacra.storage import SHIPPED, load_generator

T = TypeVar("T")
Where = str | Path | NDArray[Any] | Tensor | Dataset | Generator
Size = tuple[int, int]  # height, width

LARGEST = 512  # px of the longer side
HEADERS = 200  # pictures of a set whose sizes are looked at
CHUNK = 32  # pictures decoded at a time
MAX_PIXELS = 100_000_000
SHEETS = ("grid.png", "labels.png")  # what `sample` writes beside its pictures


@dataclass(frozen=True, eq=False)
class PictureSet:
    """Pictures by number: `read(row)` gives a file's bytes, pixels or an image, or raises `UnusablePicture`."""

    name: str
    kind: str  # folder, zip, tar, NumPy, data set, model, …
    count: int
    read: Callable[[int], Data]
    title: Callable[[int], str]
    rejects: tuple[Reject, ...] = ()
    origin: dict[str, Any] = field(default_factory=dict)  # what else identifies it, for the record
    unseen: PictureSet | None = None  # the parts of a prepared dataset beside its training pictures
    ahead: bool = True  # whether pictures may be read in another thread


class Decoded(NamedTuple):
    """A picture at the common size, on white, or why there is none."""

    row: int
    pixels: NDArray[np.uint8] | None  # [H, W, 3]
    size: Size = (0, 0)  # of the original
    reject: Reject | None = None


@contextlib.contextmanager
def open_set(
    where: Where, *, samples: int, model: bool = False, device: str | torch.device = "cpu"
) -> Iterator[PictureSet]:
    """A source of pictures, until the block ends.

    where: a folder (searched recursively), zip, tar, IDX, .npy or .npz file, a prepared dataset, one of its parts
        (`data/faces:valid`; by default the training pictures), `peeps`, a run, a checkpoint, a model folder or
        `hub:OWNER/NAME`; or an array, a tensor, a `Dataset`, a `Generator`. model: whether `peeps` is the bundled model, not the dataset.
    samples: pictures that a model draws, from seed 1,000,000 on. device: where it draws.

    Raises `SimulacraError` for a path that does not exist, or is neither pictures nor a model that draws.
    """
    if isinstance(where, Generator):
        yield _of_generator(where, "generator", samples, {})
    elif isinstance(where, Dataset):
        yield _of_dataset(where, "train" if where.has("train") else None)
    elif isinstance(where, np.ndarray | Tensor):
        yield _of_array(where)
    elif (part := dataset_part(where)) is not None:
        yield _of_dataset(*part)
    elif model and str(where) == SHIPPED:
        yield _of_model(where, samples, device)
    elif str(where) == SHIPPED or is_prepared(where):
        place = where if str(where) == SHIPPED or is_address(where) else Path(where).expanduser()
        yield _of_dataset(open_domain(place), "train")
    elif is_hub(where) or is_model(Path(where).expanduser()):
        yield _of_model(where, samples, device)
    else:
        with open_source(Path(where).expanduser(), labels="none") as source:
            sheets = {item.name for item in source.items if _is_sheet(item)}
            items = [item for item in source.items if item.name not in sheets]
            rejects = [Reject(name, Message("measure.sheet_of_pictures")) for name in sorted(sheets)]
            yield PictureSet(
                Path(where).resolve().name, source.kind, len(items), lambda row: items[row].read(),
                lambda row: items[row].name, (*rejects, *source.rejects),
            )  # fmt: skip


def dataset_part(where: str | Path) -> tuple[Dataset, str] | None:
    """The dataset and the part that `data/faces:valid` names; None for a path without a part."""
    place, _, part = str(where).rpartition(":")
    if part not in SPLITS or not place or Path(where).exists():
        return None
    return open_domain(place), part


def is_model(path: Path) -> bool:
    """Whether a folder is that of a run, a checkpoint or a model."""
    if not (path / "config.json").is_file():
        return False
    return any((path / name).exists() for name in ("G.safetensors", "journal.jsonl", "checkpoints"))


def common_size(medians: Sequence[Size]) -> Size:
    """The size that pictures of sets with these median sizes are brought to."""
    height, width = (min(sides) for sides in zip(*medians, strict=True))
    scale = min(1.0, LARGEST / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def median_size(pictures: PictureSet) -> Size:
    """Median height and median width of a set's pictures, by a fixed subsample. Raises `SimulacraError` without any."""
    sizes = []
    for row in subsample(pictures.count, 1 if pictures.kind == "model" else HEADERS).tolist():
        with contextlib.suppress(UnusablePicture):
            sizes.append(upright_size(pictures.read(row), MAX_PIXELS)[::-1])
    if not sizes:
        raise SimulacraError("measure.set_unusable", name=pictures.name, reason=_first_reason(pictures))
    height, width = np.sort(sizes, axis=0)[(len(sizes) - 1) // 2].tolist()
    return int(height), int(width)


def decoded(pictures: PictureSet, rows: Sequence[int], size: Size) -> Iterator[list[Decoded]]:
    """The pictures `rows` at one size, some at a time; unusable ones with their reason, and never an exception."""
    options = DecodeOptions(size=size, channels="rgba", min_side=1, max_pixels=MAX_PIXELS)
    starts = range(0, len(rows), CHUNK)
    chunks = ([_decode(pictures, row, options) for row in rows[start : start + CHUNK]] for start in starts)
    return _ahead(chunks) if pictures.ahead else chunks


def _decode(pictures: PictureSet, row: int, options: DecodeOptions) -> Decoded:
    try:
        pixels, info = decode(pictures.read(row), options)
    except UnusablePicture as error:
        return Decoded(row, None, reject=Reject(pictures.title(row), error.reason, error.detail))
    return Decoded(row, _on_white(pixels), (info.height, info.width))


def _on_white(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[H, W, 4] -> [H, W, 3], as the extractor lays transparent pictures on white."""
    if pixels[..., 3].min() == 255:
        return np.ascontiguousarray(pixels[..., :3])
    laid = preprocess(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1)
    return laid[0].byte().permute(1, 2, 0).numpy()


def _ahead(batches: Iterator[T]) -> Iterator[T]:
    """The same, with the next one prepared in another thread."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, batches, None)
        while (batch := following.result()) is not None:
            following = pool.submit(next, batches, None)
            yield batch


def _first_reason(pictures: PictureSet) -> str:
    """Why the first unusable picture is unusable."""
    for row in range(min(pictures.count, HEADERS)):
        try:
            upright_size(pictures.read(row), MAX_PIXELS)
        except UnusablePicture as error:
            return f"{pictures.title(row)}: {error}"
    return "; ".join(f"{reject.name}: {reject}" for reject in pictures.rejects[:1])


def _is_sheet(item: Item) -> bool:
    """Whether it is a sheet of many pictures that `sample` wrote beside them."""
    if PurePosixPath(item.name).name not in SHEETS:
        return False
    with contextlib.suppress(UnusablePicture):
        data = item.read()
        return isinstance(data, bytes) and "seeds" in (read_provenance(io.BytesIO(data)) or {})
    return False


def _of_dataset(data: Dataset, part: str | None) -> PictureSet:
    """A part of a prepared dataset; beside its training pictures the others are the unseen ones."""
    if data.path is not None:
        verify(data)
    view = data.split(part) if part else data
    unseen = None
    others = [other for other in SPLITS if other != "train" and data.has(other)] if part == "train" else []
    if others:
        images = data.images[data.splits["train"] :]
        unseen = PictureSet(
            data.name, "data set", len(images), lambda row: images[row], lambda row: f"{data.name} {row}",
            origin={"part": "+".join(others), "data": data.hash},
        )  # fmt: skip
    return PictureSet(
        data.name, "data set", len(view), lambda row: view.images[row], lambda row: f"{data.name} {row}",
        origin={"part": part or "all", "data": data.hash}, unseen=unseen,
    )  # fmt: skip


def _of_array(array: NDArray[Any] | Tensor) -> PictureSet:
    """Pictures in memory: [N, H, W, C] uint8, or [N, C, H, W] floats in [-1, 1]."""
    pixels = array.detach().cpu().numpy() if isinstance(array, Tensor) else array
    if pixels.ndim == 4 and pixels.dtype.kind == "f" and pixels.shape[1] in (1, 3, 4):

        def read(row: int) -> Data:
            if not np.isfinite(pixels[row]).all():
                raise UnusablePicture("data.number_not_finite")
            return to_image(torch.from_numpy(np.asarray(pixels[row], np.float32)))

    elif pixels.dtype == np.uint8 and (pixels.ndim == 3 or (pixels.ndim == 4 and pixels.shape[3] in (1, 3, 4))):

        def read(row: int) -> Data:
            return np.asarray(pixels[row])

    else:
        shape = str(list(pixels.shape))
        raise SimulacraError("data.not_pictures_array", path="array", shape=shape, type=str(pixels.dtype))
    return PictureSet("array", "array", len(pixels), read, lambda row: f"array {row}")


def _of_model(where: str | Path, samples: int, device: str | torch.device) -> PictureSet:
    about = model_under_test(where)
    generator = load_generator(about.folder, device)
    return _of_generator(generator, about.name, samples, {"model": about.hash, "gan": about.config["gan"]})


def _of_generator(generator: Generator, name: str, samples: int, origin: dict[str, Any]) -> PictureSet:
    """The pictures that a generator draws from the seeds that `evaluate` uses, a batch at a time."""
    seeds = range(FIRST_SEED, FIRST_SEED + samples)
    latest: dict[int, Tensor] = {}  # the batch that was drawn last, by its first row

    def read(row: int) -> Data:
        start = row - row % BATCH
        if start not in latest:
            latest.clear()
            latest[start] = next(generator.pictures(seeds[start : start + BATCH], batch=BATCH))
        return to_image(latest[start][row - start])

    origin = origin | {"seeds": f"{seeds[0]}-{seeds[-1]}"}
    return PictureSet(name, "model", samples, read, lambda row: f"seed {seeds[row]}", origin=origin, ahead=False)
