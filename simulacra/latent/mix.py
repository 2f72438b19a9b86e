"""Styles of some pictures in layers of others: what each range of layers decides."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from simulacra.errors import SimulacraError
from simulacra.game import Generator
from simulacra.grid import Grid


@torch.no_grad()
def mixing_matrix(
    generator: Generator,
    rows: Sequence[int],
    columns: Sequence[int],
    layers: tuple[int, int],
    *,
    label: str = "",
    truncation: float = 1.0,
) -> Image.Image:
    """A picture of pictures: each row's, with the styles of each column's in a range of layers.

    (Karras et al. 2019, figure 3.) rows, columns: seeds; their own pictures stand at the left and at the top.
    layers: from the first up to, not including, the second; the coarse ones come first. label, truncation: see
    `Generator.pictures`. Raises `SimulacraError` for a generator without layers, and for layers that it has not.
    """
    first, end = layers
    if not generator.styles:
        raise SimulacraError(
            "This model has no layers with styles of their own, so that nothing can be mixed: StyleGAN and StyleGAN2 have."
        )
    if not 0 <= first < end <= generator.styles:
        raise SimulacraError(f"Layers {first} to {end} cannot be mixed: this model has {generator.styles}, from 0.")
    generator.eval()
    one, other = (_styles(generator, seeds, label, truncation) for seeds in (rows, columns))
    grid = Grid((len(rows) + 1) * (len(columns) + 1), generator.shape, columns=len(columns) + 1)
    grid.add(torch.ones(generator.shape))  # the corner stays white
    for picture in generator.render(other):
        grid.add(picture)
    for w in one:
        mixed = w.repeat(len(columns), 1, 1)
        mixed[:, first:end] = other[:, first:end]
        for picture in generator.render(torch.cat([w[None], mixed])):
            grid.add(picture)
    return grid.image()


def _styles(generator: Generator, seeds: Sequence[int], label: str, truncation: float) -> Tensor:
    """The w of each seed, repeated for each layer [N, L, w]."""
    y = generator.labelled(seeds, label)
    w = generator.truncate(generator.embed(generator.seeded(seeds), y), truncation, y)
    return w[:, None].repeat(1, generator.styles, 1)
