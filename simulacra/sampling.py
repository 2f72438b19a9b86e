"""Pictures of a generator as files: one PNG per seed, or many in a grid, each with its provenance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from simulacra.cascade import Cascade
from simulacra.console import Advance
from simulacra.errors import SimulacraError
from simulacra.files import read_json
from simulacra.generator import Generator, LayerTruncation, to_image
from simulacra.grid import MAX_SIDE, Grid
from simulacra.latent.layer_ranges import format_layers
from simulacra.latent.recipe import Direction, Recipe, from_json, to_json, to_w
from simulacra.provenance import read_provenance, write_png
from simulacra.seeds import WordSeed, as_given, format_seeds
from simulacra.settings import Shape

WORD = 40  # letters of a word in a file's name
RECIPE_KEYS = ("seed", "label", "truncation", "layer_truncation", "noise")  # in the record of a picture of a seed


def write_pictures(
    generator: Generator,
    out: Path,
    seeds: Sequence[int],
    *,
    model: str,
    label: str = "",
    truncation: float = 1.0,
    min_latent: float = 0.0,
    layer_truncation: LayerTruncation | None = None,
    noise: int | None = None,
    bf16: bool = False,
    singles: bool = True,
    grid: bool = False,
    by_label: bool = False,
    cascade: Cascade | None = None,
    advance: Advance = lambda n: None,
) -> list[Path]:
    """Draw `seeds` into the folder `out`: `seed000007.png` per seed, `grid.png`, `labels.png`; memory stays constant.

    model: the fingerprint to record. label, layer_truncation, noise, bf16: see `Generator.pictures`. singles: write one PNG per seed.
    by_label: write `labels.png`, with all seeds in a row for each of `label_rows`. cascade: enlarges all pictures.
    A picture of the same model, seed, label and settings is not drawn again. Raises `SimulacraError` before anything
    is drawn if another picture is in the way.
    """
    options: dict[str, Any] = {"truncation": truncation, "min_latent": min_latent}
    sheets = [out / name for name, wanted in (("grid.png", grid), ("labels.png", by_label)) if wanted]
    paths = {seed: out / f"{file_name(seed, noise)}.png" for seed in seeds} if singles else {}
    shape = cascade.shape if cascade else generator.shape
    origin = {"model": model, **options, **enlarged_by(cascade)}
    if layer_truncation:
        options["layer_truncation"] = layer_truncation
        origin["layer_truncation"] = {format_layers(layers): psi for layers, psi in layer_truncation.items()}
    if noise is not None:
        options["noise"] = origin["noise"] = noise
    if bf16:
        options["bf16"] = origin["bf16"] = True
    records = _records(generator, seeds, paths, sheets, label, origin, shape)
    existing = {path for path, record in records.items() if _exists(path, record)}

    def write(path: Path, image: Image.Image) -> None:
        if path not in existing:
            write_png(image, path, records[path])

    def pictures(label: str) -> Iterator[Tensor]:
        for batch in generator.pictures(seeds, label=label, **options):
            yield from cascade.enlarge(batch) if cascade else batch
            advance(len(batch))

    if singles or grid:
        sheet = Grid(len(seeds) if grid else 0, shape)
        for picture, seed in zip(pictures(label), seeds, strict=True):
            if singles:
                write(paths[seed], to_image(picture))
            if grid:
                sheet.add(picture)
        if grid:
            write(out / "grid.png", sheet.image())
    if by_label:
        rows = label_rows(generator, label)
        sheet = Grid(len(rows) * len(seeds), shape, columns=len(seeds), names=[name for name, _ in rows])
        for _, row_label in rows:
            for picture in pictures(row_label):
                sheet.add(picture)
        write(out / "labels.png", sheet.image())
    return list(records)


def file_name(seed: int, noise: int | None) -> str:
    """The name of a picture's file, without its ending."""
    name = f"seed{seed:06d}"
    if isinstance(seed, WordSeed):  # without what a file system may forbid; its number tells `my cat` from `my-cat`
        readable = "".join(letter if letter.isalnum() else "-" for letter in seed.word[:WORD])
        name = f"seed-{readable}-{seed % 16**8:08x}"
    return name + ("" if noise is None else f"-noise{noise}")


def enlarged_by(cascade: Cascade | None) -> dict[str, Any]:
    """The part of a picture's provenance that names its upscalers; empty without any."""
    return {} if cascade is None else {"size": cascade.shape[1], "upscaler": cascade.fingerprint}


def label_rows(generator: Generator, label: str = "") -> list[tuple[str, str]]:
    """The rows of `labels.png` as (name, label): one per class; for attributes one without change, then one each.

    label: attributes that all rows share. Raises `SimulacraError` for a model without labels, and for a class.
    """
    names = [generator.name_of(number) for number in range(generator.labels)]
    if not names:
        raise SimulacraError("sampling.no_labels")
    base = format_label(generator, label)
    if not generator.attributes:
        if base:
            raise SimulacraError("sampling.rows_of_one_class", label=base)
        return [(name, name) for name in names]
    return [(base or "as drawn", base), *((name, f"{base}, {name}" if base else name) for name in names)]


def format_label(generator: Generator, label: str) -> str:
    """A label as pictures record it: names instead of numbers, sorted."""
    values = sorted(generator.parse_label(label).items())
    return ", ".join(generator.name_of(number) + ("" if value == 1 else f"={value:g}") for number, value in values)


def read_recipe(path: Path) -> Recipe:
    """The recipe in a JSON file, or in a picture with provenance. Raises `SimulacraError` if there is none."""
    if path.suffix.lower() == ".json":
        return from_json(read_json(path))
    if not path.is_file():
        raise SimulacraError("sampling.missing", path=path)
    record = read_provenance(path) or {}
    recipe = recipe_of(record)
    if recipe is None and "seed" in record:
        raise SimulacraError("sampling.min_latent_has_no_recipe", path=path)
    if recipe is None:
        raise SimulacraError("sampling.no_recipe", path=path)
    return recipe


def recipe_of(record: Mapping[str, Any]) -> Recipe | None:
    """The recipe of a picture's provenance; None where the record is not enough to draw the picture again."""
    if "recipe" in record:
        return from_json(record["recipe"])
    if "seed" not in record or record.get("min_latent"):  # a recipe has no min_latent
        return None
    return from_json({key: record[key] for key in RECIPE_KEYS if key in record})


@torch.no_grad()
def draw(generator: Generator, recipes: Sequence[Recipe], ws: Tensor) -> Tensor:
    """Pictures [N, C, H, W] of recipes with their w [N, w] or [N, num_ws, w], each with its own noise.

    Raises `SimulacraError` for a seed of noise that is none.
    """
    noises = [recipe.noise for recipe in recipes]
    for noise in noises:
        if noise is not None and not 0 <= noise < 2**32:
            raise SimulacraError("latent.not_a_seed", seed=noise)
    if len(set(noises)) == 1:
        return generator.render(ws, noises[0]).float()
    return torch.cat([generator.render(w[None], noise).float() for w, noise in zip(ws, noises, strict=True)])


@torch.no_grad()
def write_recipe(
    generator: Generator,
    out: Path,
    recipe: Recipe,
    directions: Mapping[str, Direction],
    *,
    name: str,
    model: str,
    bf16: bool = False,
    cascade: Cascade | None = None,
) -> Path:
    """Draw a recipe as `NAME.png` into the folder `out`; like `write_pictures` otherwise.

    directions: the model's, by name, for the recipe's edits.
    """
    generator.eval()
    path, record = out / f"{name}.png", {"model": model, "recipe": to_json(recipe), **enlarged_by(cascade)}
    record |= {"bf16": True} if bf16 else {}
    w = to_w(generator, recipe, directions)
    if not _exists(path, record):
        with torch.autocast(generator.device.type, torch.bfloat16, enabled=bf16):
            pictures = draw(generator, [recipe], w)
        write_png(to_image((cascade.enlarge(pictures) if cascade else pictures)[0]), path, record)
    return path


def _exists(path: Path, record: dict[str, Any]) -> bool:
    if not path.exists():
        return False
    if read_provenance(path) != record:
        raise SimulacraError("sampling.another_picture", path=path)
    return True


def _records(
    generator: Generator,
    seeds: Sequence[int],
    paths: Mapping[int, Path],
    sheets: Sequence[Path],
    label: str,
    origin: Mapping[str, Any],
    shape: Shape,
) -> dict[Path, dict[str, Any]]:
    """The provenance of each picture. Its label is the requested one; without one, the class that the seed draws.

    Raises `SimulacraError` for pictures that cannot be drawn.
    """
    requested, records = format_label(generator, label), {}
    draws_class = generator.labels and not generator.attributes and not requested
    for seed, path in paths.items():
        y = generator.conditions([seed]) if draws_class else None
        name = requested if y is None else generator.name_of(int(y.argmax()))
        records[path] = {**origin, "seed": as_given(seed)} | ({"label": name} if name else {})
    for path in sheets:
        rows = label_rows(generator, label) if path.stem == "labels" else []
        _check_size(shape, len(seeds), len(rows))
        records[path] = {**origin, "seeds": format_seeds(seeds)} | ({"label": requested} if requested else {})
        records[path] |= {"rows": "labels"} if rows else {}
    return records


def _check_size(shape: Shape, count: int, rows: int) -> None:
    """Raise `SimulacraError` if a square grid of `count` pictures, or `rows` rows of them, is too large."""
    _, height, width = shape
    if not rows and max(height, width) * count**0.5 > MAX_SIDE:
        raise SimulacraError("sampling.grid_too_large", count=count, most=MAX_SIDE)
    if rows and width * count > MAX_SIDE:
        raise SimulacraError("sampling.rows_too_long", count=count, most=MAX_SIDE)
    if height * rows > MAX_SIDE:
        raise SimulacraError("sampling.too_many_rows", count=rows, most=MAX_SIDE)
