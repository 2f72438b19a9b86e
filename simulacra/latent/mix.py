"""Crosses of two pictures: by layers where the model has them, or by the numbers of z, for every model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from simulacra.device import choose_device
from simulacra.errors import SimulacraError
from simulacra.generator import LABEL, Generator, check_truncation
from simulacra.grid import MAX_SIDE, Grid
from simulacra.interpolation import interpolate_z, lerp
from simulacra.latent.layer_ranges import parse_layers
from simulacra.provenance import read_provenance, write_png
from simulacra.seeds import as_given, parse_seeds
from simulacra.storage import fingerprint, load_generator

Way = Literal["auto", "layers", "cross", "blend"]


def mix(
    model: str | Path | None,
    out: str | Path,
    *,
    rows: str | Sequence[int] = "1-4",
    columns: str | Sequence[int] = "5-9",
    way: Way = "auto",
    layers: str | tuple[int, int] | None = None,
    label: str = "",
    truncation: float = 1.0,
    device: str = "auto",
) -> Path:
    """Draw a matrix of pictures and their crosses into a PNG; returns its path.

    model: a run, a checkpoint, a model's folder or "peeps". rows, columns: seeds of the parents at the left and top,
    as numbers or a text such as "1-4". layers: a text such as "0-3", or (first, end). Other options: see `write_mix`.
    """
    if isinstance(layers, str):
        layers = parse_layers(layers)
    return write_mix(
        load_generator(model, choose_device(device)), Path(out), parse_seeds(rows), parse_seeds(columns), way, layers=layers,
        label=label, truncation=truncation, model=fingerprint(model),
    )  # fmt: skip


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
    """Style mixing (Karras et al. 2019, figure 3): each row's picture with each column's styles in some layers.

    rows, columns: seeds, whose own pictures stand at the left and the top. layers: (first, end), end excluded; coarse
    layers come first. label, truncation: see `Generator.pictures`.
    Raises `SimulacraError` for a generator without layers, and for layers that it lacks.
    """
    first, end = layers
    if not generator.num_ws:
        raise SimulacraError("latent.no_layers_to_mix")
    if not 0 <= first < end <= generator.num_ws:
        raise SimulacraError("latent.no_such_layers", first=first, end=end, num_ws=generator.num_ws)
    left, top = (_styles(generator, seeds, label, truncation) for seeds in (rows, columns))

    def row_of(row: int) -> Tensor:
        w = left[row].repeat(len(columns), 1, 1)
        w[:, first:end] = top[:, first:end]
        return w

    return _matrix(generator, left, top, row_of)


@torch.no_grad()
def cross_matrix(
    generator: Generator,
    rows: Sequence[int],
    columns: Sequence[int],
    way: Literal["cross", "blend"] = "cross",
    *,
    label: str = "",
    truncation: float = 1.0,
) -> Image.Image:
    """A matrix of parents (seeds, at the left and the top) and a child of each two, for every model.

    cross: each number of z and of the label comes from one parent, by a coin that the two seeds decide; such a z is as
    likely as its parents. blend: halfway, as a walk goes. label, truncation: see `Generator.pictures`.
    """
    check_truncation(truncation)
    generator.eval()
    z, y = zip(
        *((generator.seeded(seeds), generator.conditions(seeds, label)) for seeds in (rows, columns)), strict=True
    )

    def to_w(z: Tensor, y: Tensor | None) -> Tensor:
        return generator.truncate(generator.mapping(z, y), truncation, y)

    def row_of(row: int) -> Tensor:
        n = len(columns)
        parent, label = z[0][row].expand(n, -1), None if y[0] is None else y[0][row].expand(n, -1)
        if way == "blend":
            half = torch.full((n,), 0.5, device=generator.device)
            child = interpolate_z(parent, z[1], half, prior=generator.prior)
            return to_w(child, label if label is None or y[1] is None else lerp(label, y[1], half))
        coins = torch.stack([_coins(rows[row], column, generator.z_dim) for column in columns]).to(generator.device)
        if label is not None and y[1] is not None:
            # a class comes from one parent as a whole, attributes one by one
            size = generator.labels if generator.attributes else 1
            label_coins = [_coins(rows[row], column, size, stream=LABEL) for column in columns]
            label = torch.where(torch.stack(label_coins).to(generator.device), label, y[1])
        return to_w(torch.where(coins, parent, z[1]), label)

    return _matrix(generator, to_w(z[0], y[0]), to_w(z[1], y[1]), row_of)


def write_mix(
    generator: Generator,
    out: Path,
    rows: Sequence[int],
    columns: Sequence[int],
    way: Way = "auto",
    *,
    layers: tuple[int, int] | None = None,
    label: str = "",
    truncation: float = 1.0,
    model: str,
) -> Path:
    """Write a matrix of parents and children as a PNG with provenance; the same one is not drawn again.

    way: auto is layers where the model has them, else cross. layers: (first, end), end excluded; default: the coarser
    half. model: the fingerprint to record. Raises `SimulacraError` for what the model cannot do, too many pictures,
    and a file that is another picture.
    """
    if out.suffix.lower() != ".png":
        raise SimulacraError("latent.mix_not_a_png", path=out)
    if way == "auto":
        way = "layers" if generator.num_ws or layers else "cross"
    if layers and way != "layers":
        raise SimulacraError("latent.mix_layers_unused", way=way)
    _, height, width = generator.shape
    if max((len(rows) + 1) * height, (len(columns) + 1) * width) > MAX_SIDE:
        raise SimulacraError("latent.mix_too_large", rows=len(rows), columns=len(columns), most=MAX_SIDE)
    chosen = layers or (0, max(1, generator.num_ws // 2))
    settings: dict[str, Any] = {"rows": list(map(as_given, rows)), "columns": list(map(as_given, columns))}
    settings |= {"way": way, "truncation": truncation}
    settings |= {"layers": list(chosen)} if way == "layers" else {}
    record = {"model": model, "mix": settings | ({"label": label} if label else {})}
    if out.exists():
        if read_provenance(out) == record:
            return out
        raise SimulacraError("latent.mix_exists", path=out)
    options: dict[str, Any] = {"label": label, "truncation": truncation}
    if way == "layers":
        image = mixing_matrix(generator, rows, columns, chosen, **options)
    else:
        image = cross_matrix(generator, rows, columns, way, **options)
    write_png(image, out, record)
    return out


def cross_w(a: Tensor, b: Tensor, count: int, seed: int) -> list[Tensor]:
    """`count` children of two w [1, w] or [1, num_ws, w]: each number, or each layer, from one of them by a coin."""
    source = torch.Generator().manual_seed(seed)
    shape = (count, *a.shape[1:-1], 1) if a.dim() == 3 else (count, a.shape[-1])
    return list(torch.where(torch.rand(shape, generator=source) < 0.5, a, b)[:, None])


def _matrix(generator: Generator, left: Tensor, top: Tensor, row_of: Callable[[int], Tensor]) -> Image.Image:
    """Pictures of `left` and `top` at the edges, those of row_of(i) between; the corner stays white."""
    generator.eval()
    grid = Grid((len(left) + 1) * (len(top) + 1), generator.shape, columns=len(top) + 1)
    grid.add(torch.ones(generator.shape))
    for picture in generator.synthesis(top):
        grid.add(picture)
    for number, w in enumerate(left):
        for picture in generator.synthesis(torch.cat([w[None], row_of(number)])):
            grid.add(picture)
    return grid.image()


def _coins(a: int, b: int, count: int, *, stream: int = 0) -> Tensor:
    """[count] bool, True for the first parent; a function of the two seeds and the stream alone."""
    coins = np.random.default_rng([a, b, stream]).integers(0, 2, count).astype(bool)
    return torch.from_numpy(coins)


def _styles(generator: Generator, seeds: Sequence[int], label: str, truncation: float) -> Tensor:
    """The w of each seed, repeated for each layer [N, num_ws, w]."""
    check_truncation(truncation)
    y = generator.conditions(seeds, label)
    w = generator.truncate(generator.mapping(generator.seeded(seeds), y), truncation, y)
    return w[:, None].repeat(1, generator.num_ws, 1)
