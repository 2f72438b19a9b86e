"""The previews of a run, drawn at each tick: fixed seeds, ordered by class where there are few classes.

For a translator: fixed pictures, their translations, and those translated back. For an upscaler: fixed pictures enlarged
bicubically, by the model, and the originals.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from simulacra.data.dataset import Dataset, Pair
from simulacra.data.feed import Feed, to_tensor
from simulacra.files import atomic_file
from simulacra.generator import Generator, as_generator
from simulacra.grid import Grid
from simulacra.layers.filters import enlarge, reduce
from simulacra.model import Model
from simulacra.translator import OTHER, as_translator
from simulacra.upscaler import as_upscaler

PREVIEWS = 64  # pictures, at most
ROWS = 8
MOST_CLASSES = 10  # with more, previews are not ordered by class
EVEN = 1.5  # classes whose sizes differ by less have equal shares of the previews
TRIPLES = 16  # of a picture, its translation and its reconstruction, in each direction, at most


def by_class(generator: Generator) -> bool:
    """Whether the previews of this generator are ordered by class."""
    return 0 < generator.labels <= MOST_CLASSES and not generator.attributes


class Previews:
    """Fixed seeds of a generator. `columns`: in a row; `labels`: classes [count] int64 where they are ordered by class.

    Classes have the same shares as in the data, so that diversity can be compared with that of the data; classes of
    about one size have one or several rows each.
    """

    def __init__(self, model: Model) -> None:
        generator = as_generator(model)
        self.columns, self.count, self.labels = PREVIEWS // ROWS, PREVIEWS, None
        if by_class(generator):
            rows = generator.labels * max(1, round(ROWS / generator.labels))
            self.columns = PREVIEWS // rows
            self.count = rows * self.columns
            sizes = torch.bincount(generator.bank.cpu(), minlength=generator.labels)
            even = bool(sizes.max() < EVEN * sizes.min())
            shares = torch.arange(generator.labels) if even else generator.bank.cpu().sort().values
            self.labels = shares[(torch.arange(self.count) * 2 + 1) * len(shares) // (2 * self.count)]

    def draw(self, model: Model) -> Tensor:
        """The pictures [count, C, H, W], row by row."""
        generator = as_generator(model)
        if self.labels is None:
            return torch.cat(list(generator.pictures(range(self.count))))
        pictures: list[Tensor] = []
        for number in sorted(set(self.labels.tolist())):
            seeds = torch.nonzero(self.labels == number).flatten().tolist()
            pictures += generator.pictures(seeds, label=generator.name_of(number))
        return torch.cat(pictures)

    def shuffled(self, pictures: Tensor) -> Tensor:
        """`pictures` [N, C, H, W] in a fixed random order, independent of their classes."""
        return pictures[torch.randperm(len(pictures), generator=torch.Generator().manual_seed(0))]

    def reals(self, feed: Feed) -> list[Tensor]:
        """As many real pictures [C, H, W], to compare with."""
        return [feed.batch(i, 1).images[0] for i in range(min(self.count, feed.n))]

    def save(self, path: Path, pictures: Sequence[Tensor]) -> None:
        """Write pictures [C, H, W] in these rows as one PNG."""
        save_rows(path, pictures, self.columns)


class TranslationPreviews:
    """Fixed pictures of a pair: rows of picture, translation and reconstruction, alternately from a and from b.

    The pictures are from the validation part where there is one.
    """

    def __init__(self, data: Pair) -> None:
        """data: the whole pair."""
        part = data.split("valid" if data.has("valid") else "train")
        n = min(TRIPLES, len(part.a), len(part.b))
        cpu = torch.device("cpu")
        self.pictures = {"a": to_tensor(part.a.images[:n], cpu), "b": to_tensor(part.b.images[:n], cpu)}
        self.columns, self.count = 12 if n % 2 == 0 else 6, 2 * n

    @torch.no_grad()
    def draw(self, model: Model) -> Tensor:
        """The pictures [6n, C, H, W], row by row."""
        generator = as_translator(model)
        generator.eval()
        rows: dict[str, Tensor] = {}
        for domain, other in OTHER.items():
            images = self.pictures[domain].to(generator.device)
            translated = torch.cat([generator.translate(image, other) for image in torch.split(images, 1)])
            cycled = torch.cat([generator.translate(image, domain) for image in torch.split(translated, 1)])
            rows[domain] = torch.stack([images, translated, cycled], 1)
        return torch.stack([rows["a"], rows["b"]], 1).flatten(0, 2)

    def shuffled(self, pictures: Tensor) -> Tensor:
        """The translations among `pictures`: [6n, C, H, W] -> [2n, C, H, W]."""
        return pictures[1::3]

    def reals(self, feed: Feed) -> list[Tensor]:
        """As many real pictures [C, H, W], alternately of both domains."""
        return [picture for pair in zip(self.pictures["a"], self.pictures["b"], strict=True) for picture in pair]

    def save(self, path: Path, pictures: Sequence[Tensor]) -> None:
        """Write pictures [C, H, W] in these rows as one PNG."""
        save_rows(path, pictures, self.columns)


class UpscalePreviews:
    """Fixed originals: rows of the reduced picture enlarged bicubically, by the model, and the original.

    The pictures are from the validation part where there is one.
    """

    columns = 12

    def __init__(self, data: Dataset) -> None:
        """data: the whole dataset of originals."""
        images = data.split("valid" if data.has("valid") else "train").images[:TRIPLES]
        self.originals, self.count = to_tensor(images, torch.device("cpu")), len(images)

    @torch.no_grad()
    def draw(self, model: Model) -> Tensor:
        """The pictures [3n, C, H, W], row by row."""
        upscaler = as_upscaler(model)
        small = reduce(self.originals.to(upscaler.device)).clamp(-1, 1)
        ours = torch.cat(list(upscaler.upscaled(torch.split(small, 1))))
        return torch.stack([enlarge(small), ours, self.originals.to(ours)], 1).flatten(0, 1)

    def shuffled(self, pictures: Tensor) -> Tensor:
        """The enlarged pictures among `pictures`: [3n, C, H, W] -> [n, C, H, W]."""
        return pictures[1::3]

    def reals(self, feed: Feed) -> list[Tensor]:
        """The originals [C, H, W]."""
        return list(self.originals)

    def save(self, path: Path, pictures: Sequence[Tensor]) -> None:
        """Write pictures [C, H, W] in these rows as one PNG."""
        save_rows(path, pictures, self.columns)


def open_previews(data: Dataset | Pair, model: Model) -> Previews | TranslationPreviews | UpscalePreviews:
    """The previews of a run on a whole dataset whose G is `model`."""
    if isinstance(data, Pair):
        return TranslationPreviews(data)
    return UpscalePreviews(data) if model.task == "upscale" else Previews(model)


def save_rows(path: Path, pictures: Sequence[Tensor], columns: int) -> None:
    """Write pictures [C, H, W] in rows as one PNG."""
    channels, height, width = pictures[0].shape
    grid = Grid(len(pictures), (channels, height, width), columns=min(columns, len(pictures)))
    for picture in pictures:
        grid.add(picture)
    with atomic_file(path) as file:
        grid.image().save(file, "PNG", compress_level=1)  # previews are many, and zlib is slow on noise
