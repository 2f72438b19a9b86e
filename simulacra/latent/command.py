"""`simulacra directions`: find a model's directions, keep them, and show them as a table and as a filmstrip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image
from rich.table import Table
from rich.text import Text
from torch.nn import functional as F

from simulacra.console import console
from simulacra.data.dataset import Dataset
from simulacra.errors import SimulacraError
from simulacra.files import written_aside
from simulacra.generator import Generator
from simulacra.grid import Grid
from simulacra.latent.directions import COUNT, discover
from simulacra.latent.effects import render
from simulacra.latent.recipe import Direction, moved
from simulacra.latent.saved import open_directions, place, rename, save
from simulacra.latent.supervised import LEARNED, SAMPLES, learn
from simulacra.latent.unsupervised import embedded
from simulacra.measure.model_under_test import model_under_test
from simulacra.storage import load_generator

STRENGTHS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
SMALLEST = 64  # pixels a side of a picture on a sheet

Begin = Callable[[str, int], Callable[[int], object]]


@dataclass(frozen=True, kw_only=True)
class Told:
    """What is kept now, where, and what was left out with the reason."""

    directions: list[Direction]
    path: Path
    left_out: dict[str, str] = field(default_factory=dict)


def find(
    where: str | Path | None = None,
    *,
    labels: str | None = None,
    count: int = COUNT,
    orthogonal: bool = False,
    samples: int = SAMPLES,
    seed: int = 0,
    out: Path | None = None,
    device: torch.device | str = "cpu",
    begin: Begin = lambda what, total: lambda n: None,
) -> Told:
    """Find directions of a model and keep them; those learned from labels before stay if none are asked for now.

    labels: a prepared data set to learn from, or "" for that of the model; None learns nothing. count: at most so many
    of those found without labels. out: the file; see `saved.place` if not given. Other options: see `learn`.
    """
    if orthogonal and labels is None:
        raise SimulacraError("--orthogonal is about directions learned from labels: add --labels.")
    known = open_directions(where, out)  # a file of another model is refused before any work
    generator = load_generator(where, device)
    learned = None
    if labels is not None:
        data = model_under_test(where).dataset(labels or None)
        assert isinstance(data, Dataset)
        learned = learn(generator, data, samples=samples, seed=seed, orthogonal=orthogonal, begin=begin)
    named = learned.directions if learned else [d for d in known if not d.own and d.kind in LEARNED]
    found = discover(
        generator,
        count=count,
        seed=seed,
        reader=learned.reader if learned else None,
        known=[*(direction for direction in known if direction.own), *named],
        begin=begin,
    )
    kept = save([*named, *found], where, out)
    return Told(directions=kept, path=out or place(where), left_out=learned.left_out if learned else {})


def renamed(where: str | Path | None, words: Sequence[str], out: Path | None = None) -> Told:
    """Carry out each `old=new`. Raises `SimulacraError` for anything else."""
    kept: list[Direction] = []
    for word in words:
        old, equals, new = word.partition("=")
        if not equals:
            raise SimulacraError(f"--rename takes old=new, not {word!r}.")
        kept = rename(old, new, where, out)
    return Told(directions=kept, path=out or place(where))


@torch.no_grad()
def sheet(
    generator: Generator, directions: Sequence[Direction], *, seed: int = 0, strengths: Sequence[float] = STRENGTHS
) -> Image.Image:
    """A filmstrip: a row for each direction, a column for each strength, the picture of `seed` in the middle."""
    generator.eval()
    w = embedded(generator, range(seed, seed + 1))
    channels, height, width = generator.shape
    times = -(-SMALLEST // min(height, width))
    shape = (channels, height * times, width * times)
    names = [direction.name for direction in directions]
    grid = Grid(len(directions) * len(strengths), shape, columns=len(strengths), names=names)
    for direction in directions:
        many = moved(generator, w.expand(len(strengths), -1), direction, torch.tensor(strengths, device=w.device))
        for picture in F.interpolate(render(generator, many), scale_factor=times):
            grid.add(picture)
    return grid.image()


def write_sheet(path: Path, image: Image.Image) -> None:
    """Write it as PNG. Raises `SimulacraError` where another file is."""
    if path.exists():
        raise SimulacraError(f"{path} exists: choose another name for the sheet, or move it away.")
    with written_aside(path) as file:
        image.save(file, "PNG")


def show(told: Told) -> None:
    """The table, and what was left out."""
    table = Table(box=None, pad_edge=False)
    for column in ("name", "found by", "what grows with it", "accuracy"):
        table.add_column(column, justify="right" if column == "accuracy" else "left")
    for each in told.directions:
        accuracy = "" if each.accuracy is None else f"{each.accuracy:.0%}"
        table.add_row(Text(each.name), Text(each.kind), Text(each.about), accuracy)
    console.print(table)
    for reason, names in _by_reason(told.left_out).items():
        console.print(f"Left out, {reason}: {', '.join(names)}", markup=False)
    console.print(str(told.path), markup=False)


def _by_reason(left_out: dict[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        found.setdefault(reason, []).append(name)
    return found
