"""The pictures that a run shows at each tick: the same seeds every time, class by class where there are few classes.

A game that translates shows the same pictures each time, what becomes of them, and what comes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from simulacra.data.dataset import Pair
from simulacra.data.feed import Feed, unpacked
from simulacra.files import written_aside
from simulacra.generator import Generator, as_generator
from simulacra.grid import Grid
from simulacra.model import Model
from simulacra.translator import OTHER, as_translator

PREVIEWS = 64  # pictures, at most
ROWS = 8
MOST_CLASSES = 10  # that are shown in order
EVEN = 1.5  # classes whose sizes differ by less are shown equally often
TRIPLES = 16  # of a picture, its translation and what comes back, for each direction, at most


def by_class(generator: Generator) -> bool:
    """Whether the previews of this generator are in the order of their classes."""
    return 0 < generator.labels <= MOST_CLASSES and not generator.attributes


class Previews:
    """Which pictures a run shows. `columns`: in a row; `labels`: [count] int64, each one's class, where in their order.

    Classes have the shares of the data, so that the pictures differ as those of the data do; where they are of about
    one size, a row or several each.
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
        drawn: list[Tensor] = []
        for number in sorted(set(self.labels.tolist())):
            seeds = torch.nonzero(self.labels == number).flatten().tolist()
            drawn += generator.pictures(seeds, label=generator.name_of(number))
        return torch.cat(drawn)

    def mixed(self, pictures: Tensor) -> Tensor:
        """`pictures` in an order that is always the same and has nothing to do with their classes."""
        return pictures[torch.randperm(len(pictures), generator=torch.Generator().manual_seed(0))]

    def reals(self, feed: Feed) -> list[Tensor]:
        """As many real pictures [C, H, W], for beside them."""
        return [feed.batch(i, 1).images[0] for i in range(min(self.count, feed.n))]

    def save(self, path: Path, pictures: Sequence[Tensor]) -> None:
        """Write pictures [C, H, W] in these rows as one PNG."""
        save_rows(path, pictures, self.columns)


class Translations:
    """The same for a translator: a picture, its translation and what comes back, in rows; a to b and b to a in turn.

    The pictures are unseen ones, where the data has a part for validation.
    """

    def __init__(self, data: Pair) -> None:
        """data: the whole pair."""
        part = data.split("valid" if data.has("valid") else "train")
        n = min(TRIPLES, len(part.a), len(part.b))
        cpu = torch.device("cpu")
        self.pictures = {"a": unpacked(part.a.images[:n], cpu), "b": unpacked(part.b.images[:n], cpu)}
        self.columns, self.count = 12 if n % 2 == 0 else 6, 2 * n
        self.drawn: Tensor | None = None

    @torch.no_grad()
    def draw(self, model: Model) -> Tensor:
        """The pictures [6n, C, H, W], row by row."""
        generator = as_translator(model)
        generator.eval()
        rows: dict[str, Tensor] = {}
        for side, other in OTHER.items():
            given = self.pictures[side].to(generator.device)
            there = torch.cat([generator.translate(each, other) for each in torch.split(given, 1)])
            back = torch.cat([generator.translate(each, side) for each in torch.split(there, 1)])
            rows[side] = torch.stack([given, there, back], 1)
        return torch.stack([rows["a"], rows["b"]], 1).flatten(0, 2)

    def mixed(self, pictures: Tensor) -> Tensor:
        """The translations among them [2n, C, H, W]."""
        return pictures[1::3]

    def reals(self, feed: Feed) -> list[Tensor]:
        """As many real pictures of both domains in turn."""
        return [picture for pair in zip(self.pictures["a"], self.pictures["b"], strict=True) for picture in pair]

    def save(self, path: Path, pictures: Sequence[Tensor]) -> None:
        """Write pictures [C, H, W] in these rows as one PNG."""
        save_rows(path, pictures, self.columns)


def save_rows(path: Path, pictures: Sequence[Tensor], columns: int) -> None:
    """Write pictures [C, H, W] in rows as one PNG."""
    channels, height, width = pictures[0].shape
    grid = Grid(len(pictures), (channels, height, width), columns=min(columns, len(pictures)))
    for picture in pictures:
        grid.add(picture)
    with written_aside(path) as file:
        grid.image().save(file, "PNG", compress_level=1)  # previews are many, and zlib slow on noise
