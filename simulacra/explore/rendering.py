"""From recipes to the bytes of a picture; knows nothing of HTTP."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple, get_args

import torch
from PIL import Image
from torch import Tensor

from simulacra import storage as models
from simulacra.errors import SimulacraError
from simulacra.explore.quick import quickened
from simulacra.files import read_json
from simulacra.generator import Generator, as_generator, to_image
from simulacra.grid import Grid
from simulacra.latent import saved
from simulacra.latent.film import write_film
from simulacra.latent.mix import cross_w
from simulacra.latent.recipe import Direction, Edit, Recipe, from_json, per_layer, to_json, to_w
from simulacra.latent.walk import Walk
from simulacra.provenance import png_info, read_provenance
from simulacra.translator import Translator

Format = Literal["auto", "webp", "jpeg", "png"]  # auto: the quickest that is as good to the eye
MOST = 100  # pictures in one sheet
SIDES = (8, 2048)  # pixels that a picture may be drawn at
DIGITS = 5  # of a number of w that is written down


class Model:
    """A model's folder, opened: its generator, its directions and what is known of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stored = models.load(folder)
        self.fingerprint = models.fingerprint(folder)
        self._seen = False

    @property
    def generator(self) -> Generator:
        """It, if it draws. Raises `SimulacraError` where it translates."""
        return as_generator(self.stored)

    @cached_property
    def quick(self) -> Generator:
        """The same generator for one picture at a time: for looking, not for keeping, see `quickened`."""
        return quickened(self.generator)

    def looking(self) -> Generator:
        """What draws a picture that is only looked at. The first one does not wait until the quick one is made."""
        first, self._seen = not self._seen, True
        return self.generator if first else self.quick

    @cached_property
    def directions(self) -> dict[str, Direction]:
        """By name, in the order in which they are shown."""
        return saved.directions_by_name(self.folder)

    def rename(self, old: str, new: str) -> None:
        """Give a direction another name, and keep it so. Raises `SimulacraError` where that cannot be."""
        saved.rename_direction(old, new, self.folder)
        self.__dict__.pop("directions", None)  # read anew

    def keep(self, name: str, edits: Mapping[str, Edit]) -> None:
        """Keep several edits as a direction of the user's. Raises `SimulacraError` where that cannot be."""
        from simulacra.latent.combine import combine  # what the first picture need not wait for

        saved.add_direction(combine(self.generator, name, edits, self.directions), self.folder)
        self.__dict__.pop("directions", None)

    def discover(self, advance: Callable[[float, str], None], *, labels: bool = False) -> dict[str, str]:
        """Find the model's directions and keep them beside it; those with a name of the user's stay.

        advance: told the share of the stage under way that is done, and the stage. labels: learn from those of the
        model's data, too; returns what could not be learned, with the reason.
        """

        from simulacra.latent.directions import find_directions  # what the first picture need not wait for

        def begin(what: str, total: int) -> Callable[[int], None]:
            done = 0

            def on(n: int) -> None:
                nonlocal done
                done += n
                advance(min(1.0, done / max(1, total)), what)

            return on

        found = find_directions(self.folder, labels=labels, device="cpu", begin=begin)
        self.__dict__.pop("directions", None)
        return {name: str(reason) for name, reason in found.left_out.items()}

    def facts(self) -> dict[str, Any]:
        """What a page must know to show only what this model can do."""
        generator, about = self.stored, read_json(self.folder / "config.json")
        draws = generator if isinstance(generator, Generator) else None
        return {
            "model": self.fingerprint,
            "gan": about["gan"],
            "domains": list(generator.domains) if isinstance(generator, Translator) else [],
            "whole": isinstance(generator, Translator) and generator.whole,
            "shape": list(generator.shape),
            "z": draws.z_dim if draws else 0,
            "w": draws.w_dim if draws else 0,
            "prior": draws.prior if draws else "",
            "styles": draws.num_ws if draws else 0,
            "labels": [draws.name_of(number) for number in range(draws.labels)] if draws else [],
            "attributes": bool(draws and draws.labels and draws.attributes),
            "data": about.get("data"),
            "nimg": about.get("nimg"),
        }


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to draw: one picture, or several in a sheet of so many columns. side: of one picture's longer side."""

    recipes: Sequence[Recipe]
    format: Format = "png"
    side: int | None = None
    columns: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.recipes) <= MOST:
            raise SimulacraError(f"{len(self.recipes)} pictures were asked for; it must be 1 to {MOST}.")
        if self.side is not None and not SIDES[0] <= self.side <= SIDES[1]:
            raise SimulacraError(f"A side of {self.side} pixels was asked for; it must be {SIDES[0]} to {SIDES[1]}.")
        if self.columns is not None and not 1 <= self.columns <= MOST:
            raise SimulacraError(f"{self.columns} columns were asked for; it must be 1 to {MOST}.")
        if self.format not in get_args(Format):
            raise SimulacraError(f"There is no format {self.format!r}: there are {', '.join(get_args(Format))}.")


class Drawn(NamedTuple):
    """A picture's file, and what it is."""

    data: bytes
    format: Format


@torch.inference_mode()
def render(model: Model, request: Request) -> Drawn:
    """A picture's file. A PNG of one picture carries its recipe, so that it can be opened again.

    Raises `SimulacraError` for a recipe that this model cannot follow.
    """
    clear = model.generator.shape[0] == 4
    if request.format == "jpeg" and clear:
        raise SimulacraError("This model's pictures have transparency, which JPEG has not: ask for webp or png.")
    format: Format = ("webp" if clear else "jpeg") if request.format == "auto" else request.format
    looked_at = format != "png" and len(request.recipes) == 1
    pictures = (model.looking() if looked_at else model.generator).synthesis(rows(model, request.recipes)).float()
    recipes = [to_json(recipe) for recipe in request.recipes]
    told = {"model": model.fingerprint} | ({"recipes": recipes} if len(recipes) > 1 else {"recipe": recipes[0]})
    sheet = Grid(len(pictures), model.generator.shape, columns=request.columns)
    for picture in pictures:
        sheet.add(picture)
    image = sheet.image()
    if request.side is not None:
        scale = request.side / max(model.generator.shape[1:])
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        if max(size) > SIDES[1] * 2:
            raise SimulacraError(f"A sheet of {size[0]} x {size[1]} pixels is too large: ask for a smaller side.")
        image = image.resize(size, Image.Resampling.LANCZOS)
    return Drawn(encoded(image, format, told), format)


def rows(model: Model, recipes: Sequence[Recipe]) -> Tensor:
    """The w of several recipes: [N, w], or [N, styles, w] where layers differ in any of them."""
    found = [one(model, recipe) for recipe in recipes]
    if any(w.dim() == 3 for w in found):
        found = [per_layer(model.generator, w) for w in found]
    return torch.cat(found)


def one(model: Model, recipe: Recipe) -> Tensor:
    """The w of a recipe: [1, w], or [1, styles, w]. Directions are found when first one is used."""
    return to_w(model.generator, recipe, model.directions if _edited(recipe) else {})


def _edited(recipe: Recipe) -> bool:
    return bool(recipe.edits) or (recipe.other is not None and _edited(recipe.other))


def encoded(image: Image.Image, format: Format, told: Mapping[str, Any]) -> bytes:
    """An image as a file; `told` goes into a PNG."""
    file = io.BytesIO()
    if format == "png":
        image.save(file, "PNG", pnginfo=png_info(told))
    elif format == "jpeg":
        image.save(file, "JPEG", quality=95, subsampling=0)
    else:
        image.save(file, "WEBP", quality=92, method=2)
    return file.getvalue()


@torch.inference_mode()
def numbers(model: Model, recipe: Recipe) -> dict[str, Any]:
    """A picture in full: the z that it starts from, if it has one; its w [1 or styles, w] after all that was done to
    it; and its label, with what a seed had drawn.
    """
    generator, w = model.generator, one(model, recipe)
    z: list[float] | None = None
    if not recipe.w:
        start = list(recipe.z) or generator.seeded([recipe.seed or 0])[0].tolist()
        z = [recipe.numbers.get(index, value) for index, value in enumerate(start)]
    return {"z": z, "w": written(w[..., : generator.w_dim]), "label": drawn_label(generator, recipe)}


def drawn_label(generator: Generator, recipe: Recipe) -> str:
    """The label that a recipe's picture has, leaving nothing open."""
    y = generator.labelled([recipe.seed or 0], recipe.label)
    if y is None:
        return ""
    if not generator.attributes:
        return generator.name_of(int(y.argmax()))
    return ", ".join(f"{generator.name_of(i)}={value:g}" for i, value in enumerate(y[0].tolist()))


def written(w: Tensor) -> list[list[float]]:
    """w [1, w] or [1, styles, w] as rows of numbers, short enough for a link."""
    w = w[0] if w.dim() == 3 else w
    return [[round(value, DIGITS) for value in row] for row in w.tolist()]


def walk(model: Model, recipes: Sequence[Recipe], frames: int, side: int, advance: Callable[[float], None]) -> bytes:
    """A film (WebP) from picture to picture, `frames` each, and back to the first. side: the longer one, in pixels."""
    way, count = Walk(model.generator, recipes, model.directions), len(recipes) * frames

    def images() -> Iterator[Image.Image]:
        for number, moment in enumerate(way.frames(count), 1):
            image = to_image(moment.picture)
            scale = side / max(image.size)
            advance(number / count)
            yield image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)

    with TemporaryDirectory() as folder:
        path = Path(folder) / "walk.webp"
        write_film(path, images(), count)
        return path.read_bytes()


def bred(model: Model, parents: tuple[Recipe, Recipe], count: int, seed: int) -> list[dict[str, Any]]:
    """Recipes of `count` children of two pictures."""
    with torch.inference_mode():
        a, b = rows(model, parents)[:, None]  # [1, w] or [1, styles, w] each
        found = cross_w(a, b, count, seed)
        label = drawn_label(model.generator, parents[0])
    return [{"w": written(w[..., : model.generator.w_dim])} | ({"label": label} if label else {}) for w in found]


def read(data: bytes) -> dict[str, Any] | None:
    """The model and the recipe that a saved picture carries, or None. Pictures of `simulacra sample` have one, too."""
    told = read_provenance(io.BytesIO(data))
    if told is None or "model" not in told:
        return None
    if "recipe" not in told and "seed" in told and not told.get("min_latent"):
        told["recipe"] = {key: told[key] for key in ("seed", "label", "truncation") if key in told}
    if "recipe" not in told:
        return None
    return {"model": str(told["model"]), "recipe": to_json(from_json(told["recipe"]))}
