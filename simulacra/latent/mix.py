"""Children of two pictures: by layers where the model has them, or by their numbers, so that every model can breed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from simulacra.errors import SimulacraError
from simulacra.gan import Generator
from simulacra.generator import LABEL
from simulacra.grid import MAX_SIDE, Grid
from simulacra.latent.walk import between, lerp
from simulacra.provenance import read_provenance, write_png


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
    if not generator.num_ws:
        raise SimulacraError(
            "This model has no layers with styles of their own, so that nothing can be mixed: StyleGAN and StyleGAN2 have."
        )
    if not 0 <= first < end <= generator.num_ws:
        raise SimulacraError(f"Layers {first} to {end} cannot be mixed: this model has {generator.num_ws}, from 0.")
    one, other = (_styles(generator, seeds, label, truncation) for seeds in (rows, columns))

    def mixed(row: int) -> Tensor:
        made = one[row].repeat(len(columns), 1, 1)
        made[:, first:end] = other[:, first:end]
        return made

    return _matrix(generator, one, other, mixed)


@torch.no_grad()
def children(
    generator: Generator,
    rows: Sequence[int],
    columns: Sequence[int],
    way: Literal["cross", "blend"] = "cross",
    *,
    label: str = "",
    truncation: float = 1.0,
) -> Image.Image:
    """A picture of pictures: at the left and at the top the parents (seeds), and between them a child of each two.

    For any model, with layers or without. cross: a child takes each number of z, and each of its label, from either
    parent by a coin that the two seeds decide; such a z is as likely as its parents. blend: halfway between the two,
    as a walk goes. label, truncation: see `Generator.pictures`.
    """
    generator.eval()
    z, y = zip(*((generator.seeded(seeds), generator.labelled(seeds, label)) for seeds in (rows, columns)), strict=True)

    def placed(z: Tensor, y: Tensor | None) -> Tensor:
        return generator.truncate(generator.mapping(z, y), truncation, y)

    def born(row: int) -> Tensor:
        n = len(columns)
        mother, told = z[0][row].expand(n, -1), None if y[0] is None else y[0][row].expand(n, -1)
        if way == "blend":
            half = torch.full((n,), 0.5, device=generator.device)
            child = between(mother, z[1], half, prior=generator.prior)
            return placed(child, told if told is None or y[1] is None else lerp(told, y[1], half))
        coins = torch.stack([_coins(rows[row], column, generator.z_dim) for column in columns]).to(generator.device)
        if told is not None and y[1] is not None:
            # a class is one of the two; attributes are each from either
            size = generator.labels if generator.attributes else 1
            either = [_coins(rows[row], column, size, of=LABEL) for column in columns]
            told = torch.where(torch.stack(either).to(generator.device), told, y[1])
        return placed(torch.where(coins, mother, z[1]), told)

    return _matrix(generator, placed(z[0], y[0]), placed(z[1], y[1]), born)


def write_mix(
    generator: Generator,
    out: Path,
    rows: Sequence[int],
    columns: Sequence[int],
    way: Literal["auto", "layers", "cross", "blend"] = "auto",
    *,
    layers: tuple[int, int] | None = None,
    label: str = "",
    truncation: float = 1.0,
    model: str,
) -> Path:
    """Write a matrix of parents and children as PNG, with its origin inside; the same is not drawn again.

    way: auto is layers where the model has them, else cross. layers: from the first up to, not including, the second;
    the coarser half if not given. Raises `SimulacraError` for what the model cannot do, too many pictures, and a file
    that is another picture.
    """
    if out.suffix.lower() != ".png":
        raise SimulacraError(f"{out} is no PNG: give a name such as mix.png.")
    if way == "auto":
        way = "layers" if generator.num_ws or layers else "cross"
    if layers and way != "layers":
        raise SimulacraError(f"--layers says nothing to --way {way}: leave one of the two out.")
    _, height, width = generator.shape
    if max((len(rows) + 1) * height, (len(columns) + 1) * width) > MAX_SIDE:
        raise SimulacraError(
            f"A mix of {len(rows)} x {len(columns)} would be over {MAX_SIDE} pixels a side: take fewer."
        )
    chosen = layers or (0, max(1, generator.num_ws // 2))
    mix: dict[str, Any] = {"rows": list(rows), "columns": list(columns), "way": way, "truncation": truncation}
    mix |= {"layers": list(chosen)} if way == "layers" else {}
    told = {"model": model, "mix": mix | ({"label": label} if label else {})}
    if out.exists():
        if read_provenance(out) == told:
            return out
        raise SimulacraError(f"{out} exists and is another picture: choose another name, or move it away.")
    options: dict[str, Any] = {"label": label, "truncation": truncation}
    if way == "layers":
        image = mixing_matrix(generator, rows, columns, chosen, **options)
    else:
        image = children(generator, rows, columns, way, **options)
    write_png(image, out, told)
    return out


def crossed(one: Tensor, other: Tensor, count: int, seed: int) -> list[Tensor]:
    """`count` children of two w [1, w] or [1, styles, w]: each number, or each layer, from one of them by a coin."""
    source = torch.Generator().manual_seed(seed)
    shape = (count, *one.shape[1:-1], 1) if one.dim() == 3 else (count, one.shape[-1])
    return list(torch.where(torch.rand(shape, generator=source) < 0.5, one, other)[:, None])


def parse_layers(text: str) -> tuple[int, int] | None:
    """`0-3`, or `2` -> from the first up to, not including, the second: (0, 4), (2, 3); nothing -> None."""
    if not text:
        return None
    first, dash, last = text.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
        raise SimulacraError(
            f"{text!r} does not name layers: write the first and the last, such as 0-3, or one, such as 2."
        )
    return int(first), int(last or first) + 1


def _matrix(generator: Generator, one: Tensor, other: Tensor, row: Callable[[int], Tensor]) -> Image.Image:
    """Parents `one` at the left, `other` at the top, and the pictures of row(i) between; the corner stays white."""
    generator.eval()
    grid = Grid((len(one) + 1) * (len(other) + 1), generator.shape, columns=len(other) + 1)
    grid.add(torch.ones(generator.shape))
    for picture in generator.synthesis(other):
        grid.add(picture)
    for number, w in enumerate(one):
        for picture in generator.synthesis(torch.cat([w[None], row(number)])):
            grid.add(picture)
    return grid.image()


def _coins(one: int, other: int, count: int, *, of: int = 0) -> Tensor:
    """[count] bool: whether it comes from the one; the same two decide the same, whatever else is drawn."""
    found = np.random.default_rng([one, other, of]).integers(0, 2, count).astype(bool)
    return torch.from_numpy(found)


def _styles(generator: Generator, seeds: Sequence[int], label: str, truncation: float) -> Tensor:
    """The w of each seed, repeated for each layer [N, L, w]."""
    y = generator.labelled(seeds, label)
    w = generator.truncate(generator.mapping(generator.seeded(seeds), y), truncation, y)
    return w[:, None].repeat(1, generator.num_ws, 1)
