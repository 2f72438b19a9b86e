"""Pictures from a trained generator, as files: one PNG a seed, or many in a grid, with their origin inside."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import torch
from PIL import Image, PngImagePlugin
from torch import Tensor

from simulacra.errors import SimulacraError
from simulacra.files import read_json, written_aside
from simulacra.gan import Generator, to_image
from simulacra.grid import Grid
from simulacra.latent.recipe import Direction, Recipe, from_json, latents, to_json

KEY = "simulacra"  # of the PNG text that tells where a picture comes from
GRID_SIDE = 9_000  # pixels at most


def parse_seeds(text: str) -> list[int]:
    """`0-99`, `7`, `1,5,10-12` -> the seeds, in order. Raises `SimulacraError` for anything else."""
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
            raise SimulacraError(
                f"{text!r} does not name seeds: write numbers and ranges, such as 7 or 0-99 or 1,5,10-12."
            )
        if int(last or first) >= 2**32:  # torch takes no more of a seed on a processor
            raise SimulacraError(f"The seed {last or first} is too large: seeds go up to 2^32 - 1.")
        if int(last or first) - int(first) + len(seeds) >= 10_000_000:
            raise SimulacraError(f"{text!r} names more than ten million seeds: draw them in several goes.")
        seeds.extend(range(int(first), int(last or first) + 1))
    return seeds


def write_pictures(
    generator: Generator,
    out: Path,
    seeds: Sequence[int],
    *,
    model: str,
    label: str = "",
    truncation: float = 1.0,
    min_latent: float = 0.0,
    each: bool = True,
    grid: bool = False,
    by_label: bool = False,
    advance: Callable[[int], None] = lambda n: None,
) -> list[Path]:
    """Draw `seeds` into the folder `out`: `seed000007.png` each, `grid.png`, `labels.png`; memory stays constant.

    label: see `Generator.labelled`. by_label: `labels.png` has all seeds in a row for each of `rows_of`.
    A picture that is already there from the same model, seed, label and settings is left; one from elsewhere is never
    overwritten: that raises `SimulacraError`, before anything is drawn. model: the fingerprint to record.
    """
    options: dict[str, Any] = {"truncation": truncation, "min_latent": min_latent}
    sheets = [out / name for name, wanted in (("grid.png", grid), ("labels.png", by_label)) if wanted]
    names = {seed: out / f"seed{seed:06d}.png" for seed in seeds} if each else {}
    told = _told(generator, seeds, names, sheets, label, {"model": model} | options)
    kept = {path for path, about in told.items() if _is_there(path, about)}

    def write(path: Path, image: Image.Image) -> None:
        if path not in kept:
            write_picture(image, path, told[path])

    def drawn(label: str) -> Iterator[Tensor]:
        for batch in generator.pictures(seeds, label=label, **options):
            yield from batch
            advance(len(batch))

    if each or grid:
        sheet = Grid(len(seeds) if grid else 0, generator.shape)
        for picture, seed in zip(drawn(label), seeds, strict=True):
            if each:
                write(names[seed], to_image(picture))
            if grid:
                sheet.add(picture)
        if grid:
            write(out / "grid.png", sheet.image())
    if by_label:
        rows = rows_of(generator, label)
        sheet = Grid(len(rows) * len(seeds), generator.shape, columns=len(seeds), names=[name for name, _ in rows])
        for _, of_row in rows:
            for picture in drawn(of_row):
                sheet.add(picture)
        write(out / "labels.png", sheet.image())
    return list(told)


def rows_of(generator: Generator, label: str = "") -> list[tuple[str, str]]:
    """The rows of `labels.png`, each with its name and its label: a class each; or the seeds as they come, then with
    each attribute in turn, so that a column shows what it does to a picture.

    label: what all rows have, where labels are attributes. Raises `SimulacraError` for a model without labels.
    """
    every = [generator.name_of(number) for number in range(generator.labels)]
    if not every:
        raise SimulacraError("This model was trained without labels: there are no rows to draw by.")
    asked = spelled(generator, label)
    if not generator.attributes:
        if asked:
            raise SimulacraError(f"A row for each class cannot be all {asked}: leave one of the two out.")
        return [(name, name) for name in every]
    return [(asked or "as drawn", asked), *((name, f"{asked}, {name}" if asked else name) for name in every)]


def spelled(generator: Generator, label: str) -> str:
    """A label as it is recorded: names for numbers, in one order."""
    asked = sorted(generator.asked(label).items())
    return ", ".join(generator.name_of(number) + ("" if value == 1 else f"={value:g}") for number, value in asked)


def origin(path: Path | BinaryIO) -> dict[str, Any] | None:
    """What a picture says of where it comes from (model, seed, settings), or None."""
    try:
        with Image.open(path) as image:
            text = image.info.get(KEY) or getattr(image, "text", {}).get(KEY)  # the latter decodes all of the picture
        told = json.loads(text) if isinstance(text, str) else None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return told if isinstance(told, dict) else None


def recipe_in(path: Path) -> Recipe:
    """The recipe in a JSON file, or inside a picture drawn here. Raises `SimulacraError` where there is none."""
    if path.suffix.lower() == ".json":
        return from_json(read_json(path))
    if not path.is_file():
        raise SimulacraError(f"{path} is missing.")
    told = origin(path) or {}
    if "recipe" in told:
        return from_json(told["recipe"])
    if "seed" not in told or told.get("min_latent"):
        why = "was drawn with --min-latent" if "seed" in told else "is no picture drawn here, or lost its text"
        raise SimulacraError(f"{path} {why}: there is no recipe inside.")
    return from_json({key: told[key] for key in ("seed", "label", "truncation") if key in told})


@torch.no_grad()
def write_recipe(
    generator: Generator, out: Path, recipe: Recipe, directions: Mapping[str, Direction], *, name: str, model: str
) -> Path:
    """Draw a recipe as `NAME.png` into the folder `out`, with the recipe inside; as `write_pictures` otherwise.

    directions: the model's own, by name, that the recipe's edits may go along.
    """
    generator.eval()
    path, told = out / f"{name}.png", {"model": model, "recipe": to_json(recipe)}
    w = latents(generator, recipe, directions)
    if not _is_there(path, told):
        write_picture(to_image(generator.synthesis(w).float()[0]), path, told)
    return path


def _is_there(path: Path, label: dict[str, Any]) -> bool:
    if not path.exists():
        return False
    if origin(path) != label:
        raise SimulacraError(f"{path} exists and is another picture: choose another folder, or move it away.")
    return True


def write_picture(
    image: Image.Image, path: Path, told: Mapping[str, Any], *, texts: Mapping[str, str] | None = None, **options: Any
) -> None:
    """Write a PNG that says of itself what `told` says; `origin` reads it back.

    texts: what else is written into it. options: Pillow's for a PNG, such as `exif`.
    """
    text = PngImagePlugin.PngInfo()
    for key, value in {**(texts or {}), KEY: json.dumps(told)}.items():
        text.add_text(key, value)
    with written_aside(path) as file:
        image.save(file, "PNG", pnginfo=text, **options)


def _spans(seeds: Sequence[int]) -> str:
    """`[0, 1, 2, 7]` -> `0-2,7`."""
    spans: list[list[int]] = []
    for seed in seeds:
        if spans and seed == spans[-1][1] + 1:
            spans[-1][1] = seed
        else:
            spans.append([seed, seed])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)


def _told(
    generator: Generator,
    seeds: Sequence[int],
    names: Mapping[int, Path],
    sheets: Sequence[Path],
    label: str,
    origin: Mapping[str, Any],
) -> dict[Path, dict[str, Any]]:
    """What each picture will say of itself: a class asked for or drawn; of attributes, what was asked for.

    Raises `SimulacraError` for what cannot be drawn.
    """
    asked, told = spelled(generator, label), {}
    drawn = generator.labels and not generator.attributes and not asked
    for seed, path in names.items():
        y = generator.labelled([seed]) if drawn else None
        name = asked if y is None else generator.name_of(int(y.argmax()))
        told[path] = {**origin, "seed": seed} | ({"label": name} if name else {})
    for path in sheets:
        rows = rows_of(generator, label) if path.stem == "labels" else []
        _check_side(generator, len(seeds), len(rows))
        told[path] = {**origin, "seeds": _spans(seeds)} | ({"label": asked} if asked else {})
        told[path] |= {"rows": "labels"} if rows else {}
    return told


def _check_side(generator: Generator, count: int, rows: int) -> None:
    """Raise `SimulacraError` where a grid of `count` pictures, or `rows` of as many, would be too large."""
    _, height, width = generator.shape
    if not rows and max(height, width) * count**0.5 > GRID_SIDE:
        raise SimulacraError(
            f"A grid of {count} pictures would be over {GRID_SIDE} pixels a side: ask for fewer seeds."
        )
    if rows and width * count > GRID_SIDE:
        raise SimulacraError(f"Rows of {count} pictures would be over {GRID_SIDE} pixels long: ask for fewer seeds.")
    if height * rows > GRID_SIDE:
        raise SimulacraError(
            f"{rows} rows would be over {GRID_SIDE} pixels high: draw some of the labels, one by one, with --label."
        )
