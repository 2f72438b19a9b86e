"""What the explorer asks of the latent room, one function each."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from simulacra.errors import SimulacraError
from simulacra.files import written_aside
from simulacra.game import Generator, to_image
from simulacra.latent.recipe import Direction, Recipe, each, latents

COUNT = 10  # directions that are found
DRAWN = 1000  # w whose principal components they are
FIRST = 2**31  # the first guess: seeds up there are nobody's
FILE = "directions.safetensors"

Advance = Callable[[float], None]


# --- directions ---------------------------------------------------------------------------------------------


def directions_of(folder: Path) -> list[Direction]:
    """The directions kept beside a model, in order; none where none were found yet."""
    if not (folder / FILE).is_file():
        return []
    with safe_open(folder / FILE, "pt") as file:
        told = json.loads(file.metadata()["directions"])
        return [Direction(vector=file.get_tensor(str(i)), **each) for i, each in enumerate(told)]


@torch.no_grad()
def discover(folder: Path, generator: Generator, advance: Advance) -> None:
    """Find a model's directions and keep them beside it: the principal components of w, or where w is z, any axes."""
    w = generator.embed(generator.seeded(range(DRAWN)), generator.labelled(range(DRAWN)))[:, : generator.w_dim]
    advance(0.5)
    count = min(COUNT, generator.w_dim)
    if generator.styles:
        _, _, axes = torch.pca_lowrank(w, q=count)
    else:
        axes, _ = torch.linalg.qr(torch.randn(len(w[0]), count, generator=torch.Generator().manual_seed(0)))
    spread = (w @ axes).std(0)
    _keep(folder, [Direction(name=f"axis {i + 1}", vector=axes[:, i] * spread[i], kind="axis") for i in range(count)])


def rename(folder: Path, old: str, new: str) -> None:
    """Give a direction another name, beside the model. Raises `SimulacraError` for an unknown one and a taken name."""
    there = directions_of(folder)
    names = [direction.name for direction in there]
    if old not in names:
        raise SimulacraError(f"There is no direction called {old!r}.")
    if new != old and new in names:
        raise SimulacraError(f"There is a direction called {new!r} already.")
    _keep(folder, [replace(each, name=new) if each.name == old else each for each in there])


def _keep(folder: Path, found: Sequence[Direction]) -> None:
    told = [{"name": d.name, "kind": d.kind, "about": d.about, "accuracy": d.accuracy} for d in found]
    vectors = {str(i): direction.vector.contiguous() for i, direction in enumerate(found)}
    with written_aside(folder / FILE) as file:
        file.write(save(vectors, {"directions": json.dumps(told)}))


# --- a photo ------------------------------------------------------------------------------------------------


class Progress(NamedTuple):
    """Where a projection is."""

    step: int  # from 1
    steps: int
    psnr: float  # dB
    picture: Tensor  # [C, H, W]


def project(
    generator: Generator,
    target: Tensor,
    *,
    steps: int,
    on_step: Callable[[Progress], object],
    stop: Callable[[], bool],
) -> Recipe:
    """The recipe whose picture is nearest to `target` [C, H, W], by gradient descent on pixels.

    stop: asked before each step; the best so far is then returned.
    """
    y = generator.labelled([0])
    with torch.no_grad():
        drawn = generator.embed(generator.seeded(range(FIRST, FIRST + 32)), None if y is None else y.expand(32, -1))
        start = drawn[(generator.render(drawn) - target).square().flatten(1).mean(1).argmin()][None]
    own, told = start[:, : generator.w_dim].clone(), start[:, generator.w_dim :]
    own = own[:, None].repeat(1, generator.styles, 1) if generator.styles else own
    own.requires_grad_(True)
    best, nearest = own.detach().clone(), math.inf
    descent = torch.optim.Adam([own], lr=0.1 * float(drawn[:, : generator.w_dim].std()))
    for step in range(1, steps + 1):
        if stop():
            break
        picture = generator.render(torch.cat([own, told], 1) if told.numel() else own)
        loss = (picture - target).square().mean()
        if float(loss.detach()) < nearest:
            best, nearest = own.detach().clone(), float(loss.detach())
        descent.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        on_step(Progress(step, steps, 10 * math.log10(4 / max(float(loss.detach()), 1e-9)), picture.detach()[0]))
        descent.step()
    rows = best[0] if generator.styles else best
    return Recipe(w=tuple(tuple(round(value, 5) for value in row) for row in rows.tolist()))


# --- films and children -------------------------------------------------------------------------------------


def film(generator: Generator, stops: Sequence[Recipe], frames: int, side: int, advance: Advance) -> bytes:
    """A film (WebP) from picture to picture, `frames` each, and back to the first. The stops have no edits."""
    found = [latents(generator, stop, {}) for stop in stops]
    if any(w.dim() == 3 for w in found):
        found = [each(generator, w) for w in found]
    images, count = [], len(found) * frames
    for i in range(count):
        leg, frame = divmod(i, frames)
        with torch.inference_mode():
            w = torch.lerp(found[leg], found[(leg + 1) % len(found)], 0.5 - 0.5 * math.cos(math.pi * frame / frames))
            image = to_image(generator.render(w).float()[0])
        scale = side / max(image.size)
        images.append(image.resize((round(image.width * scale), round(image.height * scale))))
        advance((i + 1) / count)
    file = io.BytesIO()
    images[0].save(file, "WEBP", save_all=True, append_images=images[1:], duration=40, loop=0, quality=85, method=2)
    return file.getvalue()


def children(generator: Generator, one: Tensor, other: Tensor, count: int, seed: int) -> list[Tensor]:
    """`count` w between two [1, w] or [1, styles, w]: each number, or each layer, from one of them by a coin."""
    source = torch.Generator().manual_seed(seed)
    shape = (count, *one.shape[1:-1], 1) if one.dim() == 3 else (count, one.shape[-1])
    return list(torch.where(torch.rand(shape, generator=source) < 0.5, one, other)[:, None])
