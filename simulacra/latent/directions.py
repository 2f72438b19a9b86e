"""Directions of a model: found, saved, and shown as a table or a sheet of pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image
from rich.table import Table
from rich.text import Text
from torch.nn import functional as F

from simulacra.console import Begin, console, say, silent
from simulacra.data.dataset import Dataset
from simulacra.device import choose_device
from simulacra.errors import SimulacraError
from simulacra.files import atomic_file
from simulacra.generator import Generator
from simulacra.grid import Grid
from simulacra.latent.discovery import COUNT, discover
from simulacra.latent.effects import draw
from simulacra.latent.names import effect, kind
from simulacra.latent.recipe import Direction, move
from simulacra.latent.saved import directions_file, open_directions, rename_direction, save_directions
from simulacra.latent.supervised import KINDS, SAMPLES, learn_directions
from simulacra.latent.unsupervised import seeds_to_w
from simulacra.measure.model_under_test import model_under_test
from simulacra.messages import Message, text
from simulacra.storage import load_generator

STRENGTHS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)  # of a sheet's columns
MIN_SIDE = 64  # pixels of a picture on a sheet


@dataclass(frozen=True, kw_only=True)
class SavedDirections:
    """All saved directions, their file, and the reasons for traits that have none."""

    directions: list[Direction]
    path: Path
    left_out: Mapping[str, Message] = field(default_factory=dict)


def directions(
    model: str | Path | None = None,
    *,
    labels: bool = False,
    data: str | Path | None = None,
    count: int = COUNT,
    orthogonal: bool = False,
    samples: int = SAMPLES,
    seed: int = 0,
    out: str | Path | None = None,
    device: str = "auto",
    begin: Begin = silent,
) -> list[Direction]:
    """Find directions of a model, save them beside it and return all that are saved; see `find_directions`."""
    return find_directions(
        model, labels=labels, data=data, count=count, orthogonal=orthogonal, samples=samples, seed=seed, out=out,
        device=device, begin=begin,
    ).directions  # fmt: skip


def find_directions(
    model: str | Path | None = None,
    *,
    labels: bool = False,
    data: str | Path | None = None,
    count: int = COUNT,
    orthogonal: bool = False,
    samples: int = SAMPLES,
    seed: int = 0,
    out: str | Path | None = None,
    device: str = "auto",
    begin: Begin = silent,
) -> SavedDirections:
    """Find directions of a model and save them; directions that the user named stay.

    model: a run (its best checkpoint), a checkpoint, a model's folder or "peeps"; default: the bundled model.
    labels: also learn one for each attribute or class of the model's dataset, or of `data`. Earlier ones stay without.
    count: at most so many that are found without labels. orthogonal, samples: see `learn_directions`. seed: of the
    pictures that effects are measured on. out: the file; default: see `directions_file`.
    """
    labels, path = labels or data is not None, None if out is None else Path(out)
    if orthogonal and not labels:
        raise SimulacraError("latent.orthogonal_without_labels")
    existing = open_directions(model, path)  # fails for a file of another model before any work
    generator = load_generator(model, choose_device(device))
    learned = None
    if labels:
        dataset = model_under_test(model).dataset(data)
        assert isinstance(dataset, Dataset)
        learned = learn_directions(generator, dataset, samples=samples, seed=seed, orthogonal=orthogonal, begin=begin)
    labelled = learned.directions if learned else [d for d in existing if not d.own and d.kind in KINDS]
    unlabelled = discover(
        generator,
        count=count,
        seed=seed,
        classifier=learned.classifier if learned else None,
        existing=[*(direction for direction in existing if direction.own), *labelled],
        begin=begin,
    )
    return SavedDirections(
        directions=save_directions([*labelled, *unlabelled], model, path),
        path=path or directions_file(model),
        left_out=learned.left_out if learned else {},
    )


def rename_directions(model: str | Path | None, renames: Sequence[str], out: Path | None = None) -> SavedDirections:
    """Carry out each `old=new`. Raises `SimulacraError` for anything else."""
    result: list[Direction] = []
    for word in renames:
        old, equals, new = word.partition("=")
        if not equals:
            raise SimulacraError("latent.not_a_rename", word=word)
        result = rename_direction(old, new, model, out)
    return SavedDirections(directions=result, path=out or directions_file(model))


@torch.no_grad()
def direction_sheet(
    generator: Generator, directions: Sequence[Direction], *, seed: int = 0, strengths: Sequence[float] = STRENGTHS
) -> Image.Image:
    """A row per direction and a column per strength, with the picture of `seed` at strength 0."""
    generator.eval()
    w = seeds_to_w(generator, range(seed, seed + 1))
    channels, height, width = generator.shape
    factor = -(-MIN_SIDE // min(height, width))
    shape = (channels, height * factor, width * factor)
    names = [direction.name for direction in directions]
    grid = Grid(len(directions) * len(strengths), shape, columns=len(strengths), names=names)
    for direction in directions:
        row = move(generator, w.expand(len(strengths), -1), direction, torch.tensor(strengths, device=w.device))
        for picture in F.interpolate(draw(generator, row), scale_factor=factor):
            grid.add(picture)
    return grid.image()


def write_sheet(path: Path, image: Image.Image) -> None:
    """Write a sheet as PNG. Raises `SimulacraError` if the file exists."""
    if path.exists():
        raise SimulacraError("latent.sheet_exists", path=path)
    with atomic_file(path) as file:
        image.save(file, "PNG")


def print_directions(saved: SavedDirections) -> None:
    """Print a table of the directions, what was left out and why, and the file."""
    table = Table(box=None, pad_edge=False)
    for column in ("latent.column_name", "latent.column_kind", "latent.column_about"):
        table.add_column(text(column), overflow="fold")
    table.add_column(text("latent.column_accuracy"), justify="right")
    for direction in saved.directions:
        accuracy = "" if direction.accuracy is None else f"{direction.accuracy:.0%}"
        table.add_row(Text(direction.name), kind(direction.kind), Text(effect(direction.about)), accuracy)
    console.print(table, soft_wrap=False)
    reasons: dict[str, list[str]] = {}
    for name, reason in saved.left_out.items():
        reasons.setdefault(str(reason), []).append(name)
    for reason_text, names in reasons.items():
        say("latent.left_out", reason=reason_text, names=names)
    console.print(str(saved.path), markup=False)
