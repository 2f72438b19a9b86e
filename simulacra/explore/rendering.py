"""From recipes to picture files; knows nothing of HTTP."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple, get_args

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from simulacra.errors import SimulacraError
from simulacra.explore.loaded import LoadedGenerator
from simulacra.generator import Generator, to_image
from simulacra.grid import Grid
from simulacra.latent.film import write_film
from simulacra.latent.mix import cross_w
from simulacra.latent.recipe import Recipe, from_json, per_layer, to_json, to_w
from simulacra.latent.walk import Walk
from simulacra.provenance import png_info, read_provenance
from simulacra.sampling import RECIPE_KEYS, draw, enlarged_by

Format = Literal["auto", "webp", "jpeg", "png"]  # auto: the quickest of those that look the same
MAX_PICTURES = 100  # in one sheet
SIDES = (8, 2048)  # pixels that a picture may be drawn at
TYPICAL, TYPICAL_SIDE = (
    24,
    16,
)  # pictures among which the first one is chosen, and the pixels at which they are compared
TYPICAL_SECONDS = 0.3  # that the page's first picture may come later for it
DIGITS = 5  # of a number of w that is written down


@dataclass(frozen=True, kw_only=True)
class RenderRequest:
    """What to draw: one picture, or a sheet with `columns` in a row. side: of one picture's longer side, in pixels.

    A PNG larger than the model's pictures comes from its upscalers, as far as it has any; anything else is interpolated.
    """

    recipes: Sequence[Recipe]
    format: Format = "png"
    side: int | None = None
    columns: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.recipes) <= MAX_PICTURES:
            raise SimulacraError("explore.picture_count", count=len(self.recipes), most=MAX_PICTURES)
        if self.side is not None and not SIDES[0] <= self.side <= SIDES[1]:
            raise SimulacraError("explore.side", side=self.side, least=SIDES[0], most=SIDES[1])
        if self.columns is not None and not 1 <= self.columns <= MAX_PICTURES:
            raise SimulacraError("explore.columns", columns=self.columns, most=MAX_PICTURES)
        if self.format not in get_args(Format):
            raise SimulacraError("explore.format", format=str(self.format)[:40], choices=list(get_args(Format)))


class ImageFile(NamedTuple):
    """The bytes of a picture's file, and its format."""

    data: bytes
    format: Format


@torch.inference_mode()
def render(model: LoadedGenerator, request: RenderRequest) -> ImageFile:
    """Draw a picture or a sheet. A PNG carries its recipe, so that it can be opened again.

    Raises `SimulacraError` for a recipe that this model cannot follow.
    """
    transparent = model.generator.shape[0] == 4
    if request.format == "jpeg" and transparent:
        raise SimulacraError("explore.jpeg_transparency")
    format: Format = ("webp" if transparent else "jpeg") if request.format == "auto" else request.format
    preview = format != "png" and len(request.recipes) == 1
    generator = model.preview_generator() if preview else model.generator
    pictures = draw(generator, request.recipes, w_batch(model, request.recipes))
    cascade = model.cascade(request.side) if request.format == "png" else None
    shape = cascade.shape if cascade else model.generator.shape
    recipes = [to_json(recipe) for recipe in request.recipes]
    source = {"model": model.fingerprint} | ({"recipes": recipes} if len(recipes) > 1 else {"recipe": recipes[0]})
    source |= enlarged_by(cascade)
    sheet = Grid(len(pictures), shape, columns=request.columns)
    for picture in cascade.enlarge(pictures) if cascade else pictures:
        sheet.add(picture)
    image = sheet.image()
    if request.side is not None:
        scale = request.side / max(shape[1:])
        width, height = (max(1, round(length * scale)) for length in image.size)
        if max(width, height) > SIDES[1] * 2:
            raise SimulacraError("explore.sheet_too_large", width=width, height=height)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    return ImageFile(encode(image, format, source), format)


@torch.inference_mode()
def images(model: LoadedGenerator, recipes: Sequence[Recipe]) -> list[Image.Image]:
    """The pictures of recipes, at the model's own size."""
    return [to_image(picture) for picture in draw(model.generator, recipes, w_batch(model, recipes))]


@torch.inference_mode()
def check(model: LoadedGenerator, recipe: Recipe) -> None:
    """Raise `SimulacraError` for a recipe that this model cannot follow, without drawing it."""
    w_of(model, recipe)
    if recipe.noise is not None and not model.generator.has_noise:
        raise SimulacraError("generator.no_noise")


@torch.inference_mode()
def thumbnails(generator: Generator, seeds: Sequence[int]) -> Tensor:
    """The pictures of seeds as points [N, C·16·16], for `typical_seed`."""
    pictures = generator.synthesis(generator.mapping(generator.seeded(seeds), generator.conditions(seeds)))
    return F.interpolate(pictures.float(), (TYPICAL_SIDE, TYPICAL_SIDE), mode="area").flatten(1)


def typical_seed(
    generator: Generator, points: Tensor | None = None, seconds: float = TYPICAL_SECONDS
) -> tuple[int, Tensor]:
    """The seed, of the first `TYPICAL`, whose picture differs least from the others' on average: rarely a broken one.

    Draws no more pictures than fit in `seconds`, at least one. points: the thumbnails of an earlier call, which are not
    drawn again. Also returns all thumbnails: `TYPICAL` of them once all are compared.
    """
    begun, drawn, fitting = time.monotonic(), 0, 1
    points = torch.empty(0, generator.shape[0] * TYPICAL_SIDE**2, device=generator.device) if points is None else points
    while fitting > 0 and len(points) < TYPICAL:
        seeds = range(len(points), min(TYPICAL, len(points) + fitting))
        points, drawn = torch.cat([points, thumbnails(generator, seeds)]), drawn + len(seeds)
        elapsed = time.monotonic() - begun
        fitting = int((seconds - elapsed) * drawn / elapsed) if elapsed else TYPICAL
    return int(torch.cdist(points, points).sum(1).argmin()), points


def w_batch(model: LoadedGenerator, recipes: Sequence[Recipe]) -> Tensor:
    """The w of several recipes: [N, w], or [N, num_ws, w] where layers differ in any of them."""
    ws = [w_of(model, recipe) for recipe in recipes]
    if any(w.dim() == 3 for w in ws):
        ws = [per_layer(model.generator, w) for w in ws]
    return torch.cat(ws)


def w_of(model: LoadedGenerator, recipe: Recipe) -> Tensor:
    """The w of a recipe: [1, w], or [1, num_ws, w]. The directions are read when a recipe first uses one."""
    return to_w(model.generator, recipe, model.directions if _has_edits(recipe) else {})


def _has_edits(recipe: Recipe) -> bool:
    return bool(recipe.edits) or (recipe.other is not None and _has_edits(recipe.other))


def encode(image: Image.Image, format: Format, source: Mapping[str, Any]) -> bytes:
    """An image as a file; `source` is written into a PNG."""
    file = io.BytesIO()
    if format == "png":
        image.save(file, "PNG", pnginfo=png_info(source))
    elif format == "jpeg":
        image.save(file, "JPEG", quality=95, subsampling=0)
    else:
        image.save(file, "WEBP", quality=92, method=2)
    return file.getvalue()


@torch.inference_mode()
def latent_numbers(model: LoadedGenerator, recipe: Recipe) -> dict[str, Any]:
    """The numbers of a picture: its starting z (None: it has none), its final w [1 or num_ws, w], and its label in full."""
    generator, w = model.generator, w_of(model, recipe)
    z: list[float] | None = None
    if not recipe.w:
        start = list(recipe.z) or generator.seeded([recipe.seed or 0])[0].tolist()
        z = [recipe.numbers.get(index, value) for index, value in enumerate(start)]
    return {"z": z, "w": w_json(w[..., : generator.w_dim]), "label": full_label(generator, recipe)}


def full_label(generator: Generator, recipe: Recipe) -> str:
    """The label of a recipe's picture, with what its seed draws where the recipe leaves it open."""
    y = generator.conditions([recipe.seed or 0], recipe.label)
    if y is None:
        return ""
    if not generator.attributes:
        return generator.name_of(int(y.argmax()))
    return ", ".join(f"{generator.name_of(i)}={value:g}" for i, value in enumerate(y[0].tolist()))


def w_json(w: Tensor) -> list[list[float]]:
    """w [1, w] or [1, num_ws, w] as rows of rounded numbers, short enough for a link."""
    w = w[0] if w.dim() == 3 else w
    return [[round(value, DIGITS) for value in row] for row in w.tolist()]


def walk(
    model: LoadedGenerator, recipes: Sequence[Recipe], frames: int, side: int, advance: Callable[[float], None]
) -> bytes:
    """A film (WebP) through pictures and back to the first, `frames` from each to the next. side: the longer one, in pixels."""
    path, count = Walk(model.generator, recipes, model.directions), len(recipes) * frames
    cascade = model.cascade(side)

    def images() -> Iterator[Image.Image]:
        for number, frame in enumerate(path.frames(count), 1):
            image = to_image(cascade.enlarge(frame.picture[None])[0] if cascade else frame.picture)
            scale = side / max(image.size)
            advance(number / count)
            yield image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)

    with TemporaryDirectory() as folder:
        file = Path(folder) / "walk.webp"
        write_film(file, images(), count)
        return file.read_bytes()


def breed(model: LoadedGenerator, parents: tuple[Recipe, Recipe], count: int, seed: int) -> list[dict[str, Any]]:
    """Recipes of `count` children of two pictures."""
    with torch.inference_mode():
        a, b = w_batch(model, parents)[:, None]  # [1, w] or [1, num_ws, w] each
        children = cross_w(a, b, count, seed)
        label = full_label(model.generator, parents[0])
    return [{"w": w_json(w[..., : model.generator.w_dim])} | ({"label": label} if label else {}) for w in children]


def read_recipe(data: bytes) -> dict[str, Any] | None:
    """The model and the recipe inside a saved picture, or None. `simulacra sample` writes them, too."""
    source = read_provenance(io.BytesIO(data))
    if source is None or "model" not in source:
        return None
    if "recipe" not in source and "seed" in source and not source.get("min_latent"):
        source["recipe"] = {key: source[key] for key in RECIPE_KEYS if key in source}
    if "recipe" not in source:
        return None
    return {"model": str(source["model"]), "recipe": to_json(from_json(source["recipe"]))}
