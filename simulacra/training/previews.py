"""The pictures that a run shows at each tick: the same seeds every time, class by class where there are few classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from simulacra.files import written_aside
from simulacra.game import Generator
from simulacra.grid import Grid

PREVIEWS = 64  # pictures, at most
ROWS = 8
MOST_CLASSES = 10  # that are shown in order
EVEN = 1.5  # classes whose sizes differ by less are shown equally often


def by_class(generator: Generator) -> bool:
    """Whether the previews of this generator are in the order of their classes."""
    return 0 < generator.labels <= MOST_CLASSES and not generator.attributes


class Previews:
    """Which pictures a run shows. `columns`: in a row; `labels`: [count] int64, each one's class, where in their order.

    Classes have the shares of the data, so that the pictures differ as those of the data do; where they are of about
    one size, a row or several each.
    """

    def __init__(self, generator: Generator) -> None:
        self.columns, self.count, self.labels = PREVIEWS // ROWS, PREVIEWS, None
        if by_class(generator):
            rows = generator.labels * max(1, round(ROWS / generator.labels))
            self.columns = PREVIEWS // rows
            self.count = rows * self.columns
            sizes = torch.bincount(generator.bank.cpu(), minlength=generator.labels)
            even = bool(sizes.max() < EVEN * sizes.min())
            shares = torch.arange(generator.labels) if even else generator.bank.cpu().sort().values
            self.labels = shares[(torch.arange(self.count) * 2 + 1) * len(shares) // (2 * self.count)]

    def draw(self, generator: Generator) -> Tensor:
        """The pictures [count, C, H, W], row by row."""
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

    def save(self, path: Path, pictures: Sequence[Tensor]) -> None:
        """Write pictures [C, H, W] in these rows as one PNG."""
        channels, height, width = pictures[0].shape
        grid = Grid(len(pictures), (channels, height, width), columns=min(self.columns, len(pictures)))
        for picture in pictures:
            grid.add(picture)
        with written_aside(path) as file:
            grid.image().save(file, "PNG", compress_level=1)  # previews are many, and zlib slow on noise
