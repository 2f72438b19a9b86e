"""What the explorer asks of the latent room, one function each."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from simulacra.errors import SimulacraError
from simulacra.files import read_json, write_json
from simulacra.game import Generator, to_image
from simulacra.latent.recipe import Direction

AXES = 10  # directions that are found
DRAWN = 2000  # w whose principal components they are
NAMES = "names.json"


# --- directions ---------------------------------------------------------------------------------------------


@torch.no_grad()
def directions_of(folder: Path, generator: Generator) -> list[Direction]:
    """The directions of a model: the principal components of w, or fixed orthogonal axes where w is z."""
    names = read_json(folder / NAMES) if (folder / NAMES).is_file() else {}
    return [replace(found, name=names.get(found.name, found.name)) for found in _axes(generator)]


def rename(folder: Path, directions: Mapping[str, Direction], old: str, new: str) -> None:
    """Give a direction another name, beside the model."""
    if old not in directions:
        raise SimulacraError(f"There is no direction called {old!r}.")
    if new in directions and new != old:
        raise SimulacraError(f"There is a direction called {new!r} already.")
    names = read_json(folder / NAMES) if (folder / NAMES).is_file() else {}
    first = next((before for before, now in names.items() if now == old), old)
    write_json(folder / NAMES, names | {first: new})


def _axes(generator: Generator) -> list[Direction]:
    source = torch.Generator().manual_seed(0)
    if generator.w_dim == generator.z_dim and not generator.styles:
        axes, _ = torch.linalg.qr(torch.randn(generator.z_dim, min(AXES, generator.z_dim), generator=source))
        vectors = list(axes.T * (0.58 if generator.prior == "uniform" else 1.0))
        return [Direction(name=f"axis {i + 1}", vector=v, kind="random") for i, v in enumerate(vectors)]
    y = generator.labelled(range(DRAWN))
    w = generator.embed(generator.seeded(range(DRAWN)), y)[:, : generator.w_dim]
    _, spread, axes = torch.pca_lowrank(w, q=min(AXES, generator.w_dim))
    return [
        Direction(name=f"component {i + 1}", vector=axes[:, i] * spread[i] / math.sqrt(DRAWN), kind="principal")
        for i in range(axes.shape[1])
    ]


# --- a photo ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Course:
    """How far a projection is. w: [1, w] or [1, styles, w]. error: root mean square over pixels in [-1, 1]."""

    step: int
    steps: int
    error: float
    w: Tensor


def projected(generator: Generator, target: Tensor, steps: int) -> Iterator[Course]:
    """The w whose picture is nearest to `target` [1, C, H, W], by gradient descent on pixels."""
    y = generator.labelled([0])
    seeds = range(32)
    conditions = None if y is None else y.expand(len(seeds), -1)
    with torch.no_grad():
        drawn = generator.embed(generator.seeded(seeds), conditions)
        errors = (generator.render(drawn) - target).square().flatten(1).mean(1)
    start = drawn[errors.argmin()][None]
    own, told = start[:, : generator.w_dim].clone(), start[:, generator.w_dim :]
    if generator.styles:
        own = own[:, None].repeat(1, generator.styles, 1)
    own.requires_grad_(True)
    descent = torch.optim.Adam([own], lr=0.1 * float(drawn[:, : generator.w_dim].std()))
    for step in range(1, steps + 1):
        picture = generator.render(torch.cat([own, told], 1) if told.numel() else own)
        loss = (picture - target).square().mean()
        descent.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if step % 5 == 0 or step == steps:
            yield Course(step=step, steps=steps, error=float(loss.detach().sqrt()), w=own.detach().clone())
        descent.step()


# --- films and children -------------------------------------------------------------------------------------


def film(
    generator: Generator, stops: Sequence[Tensor], frames: int, side: int, advance: Callable[[float], None]
) -> bytes:
    """A film (WebP) that walks through w, from stop to stop and back to the first."""
    images, parts = [], len(stops)
    for part in range(parts):
        for frame in range(frames):
            ease = 0.5 - 0.5 * math.cos(math.pi * frame / frames)
            with torch.inference_mode():
                w = torch.lerp(stops[part], stops[(part + 1) % parts], ease)
                picture = to_image(generator.render(w).float()[0])
            images.append(picture.resize((side, round(side * picture.height / picture.width))))
            advance((part * frames + frame + 1) / (parts * frames))
    file = io.BytesIO()
    images[0].save(file, "WEBP", save_all=True, append_images=images[1:], duration=40, loop=0, quality=85, method=2)
    return file.getvalue()


def children(generator: Generator, one: Tensor, other: Tensor, count: int, seed: int) -> list[Tensor]:
    """`count` w between two: each number, or each layer where there are layers, from one of them by a coin."""
    source = torch.Generator().manual_seed(seed)
    shape = (count, *one.shape[1:-1], 1) if one.dim() == 3 else (count, one.shape[-1])
    from_one = torch.rand(shape, generator=source) < 0.5
    return list(torch.where(from_one, one, other)[:, None])
