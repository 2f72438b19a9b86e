"""A photo and a model: the photo as the model sees it, its projection, and what is kept of that in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from simulacra.data.decoding import Crop, Recipe, SetAside, render
from simulacra.errors import SimulacraError
from simulacra.files import folder_written_aside, write_json
from simulacra.gan import to_image
from simulacra.generator import Generator
from simulacra.grid import Grid
from simulacra.latent.film import write_film
from simulacra.latent.project import Progress, Projection, project
from simulacra.latent.recipe import to_json
from simulacra.provenance import write_png
from simulacra.settings import Shape

SHOWN = 256  # pixels: pictures beside each other are enlarged to about this
FRAMES, RATE = 120, 25.0  # of the film of the course


def as_seen(
    source: Path | bytes | NDArray[np.uint8], shape: Shape, *, crop: Crop = "centre", max_pixels: int = 100_000_000
) -> Tensor:
    """A photo as data preparation would make it for pictures of `shape` (C, H, W): [C, H, W] in [-1, 1].

    Upright, cropped, resized, with the model's channels; transparency is laid on white unless the model has it.
    source: a file, its bytes, or pixels [H, W] or [H, W, C], of at most `max_pixels`. Raises `SimulacraError` for what is no picture.
    """
    name = "The picture"
    if isinstance(source, Path):
        path, name = source, str(source)
        if not path.is_file():
            raise SimulacraError(f"{name} {'is a folder, not one picture' if path.is_dir() else 'does not exist'}.")
        try:
            source = path.read_bytes()
        except OSError as error:
            raise SimulacraError(f"{name} cannot be read ({error.strerror}).") from error
    channels, height, width = shape
    kinds = {1: "grey", 3: "rgb", 4: "rgba"}
    try:
        # as small as it may be: one photo that its owner chose is not sorted out
        made = Recipe(size=(height, width), channels=kinds[channels], crop=crop, min_side=1, max_pixels=max_pixels)  # type: ignore[arg-type]
        pixels, _ = render(source, made)
    except SetAside as error:
        told = f"{error.reason} ({error.detail})" if error.detail else error.reason
        raise SimulacraError(f"{name} cannot be used: {told}.") from error
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 127.5 - 1


def found_for(
    photo: Path, where: str, out: Path, device: torch.device, *, encoder: float | None, film: bool, **options: Any
) -> Projection:
    """`project_photo` with a model by name and bars of progress; encoder: minutes to teach one, if there is none."""
    from simulacra.console import tasks
    from simulacra.latent.encoder import encoder_for
    from simulacra.storage import fingerprint, load_generator

    generator = load_generator(where, device)
    _check_free(out)
    as_seen(photo, generator.shape)  # a wrong photo is said before an encoder is taught
    with tasks() as begin:
        if encoder is not None:
            hundredths, done = begin("Teaching the encoder", 100), 0

            def taught(share: float, loss: float) -> None:
                nonlocal done
                hundredths(int(100 * share) - done)
                done = int(100 * share)

            options["encoder"] = encoder_for(where, generator, minutes=encoder, on_step=taught)
        advance = begin("Searching", options["steps"])
        return project_photo(
            generator,
            photo,
            out,
            model=fingerprint(where),
            film=film,
            on_step=lambda now: advance(now.step > 0),
            **options,
        )


def project_photo(
    generator: Generator,
    photo: Path,
    out: Path,
    *,
    model: str,
    film: bool = False,
    crop: Crop = "centre",
    on_step: Callable[[Progress], object] = lambda progress: None,
    **options: Any,
) -> Projection:
    """Project a photo and write the folder `out`, which must not exist yet; `options` are those of `project`.

    result.png, side-by-side.png (target, result, difference), recipe.json, course.json; with film, course.webp.
    model: the fingerprint to record.
    """
    _check_free(out)
    target = as_seen(photo, generator.shape, crop=crop)
    frames: list[Image.Image] = []

    def watch(progress: Progress) -> None:
        due = progress.step * FRAMES // progress.steps > (progress.step - 1) * FRAMES // progress.steps
        if film and progress.step and (due or progress.step == 1):
            frames.append(_enlarged(_beside([target, progress.picture], generator.shape)))
        on_step(progress)

    found = project(generator, target, on_step=watch, **options)
    with folder_written_aside(out) as folder:
        _write(folder, found, photo.name, model)
        if len(frames) > 1:
            write_film(folder / "course.webp", frames, len(frames), fps=RATE)
    return found


def side_by_side(found: Projection) -> Image.Image:
    """Target, result, and how far apart they are (black is nowhere), enlarged for the eye."""
    difference = (found.picture.clamp(-1, 1) - found.target).abs() - 1
    if len(difference) == 4:
        difference[3] = 1
    shape = (found.target.shape[0], found.target.shape[1], found.target.shape[2])
    return _enlarged(_beside([found.target, found.picture, difference], shape))


def _check_free(out: Path) -> None:
    if out.exists():
        raise SimulacraError(f"{out} exists already: choose another folder, or move it away.")


def _beside(pictures: list[Tensor], shape: Shape) -> Image.Image:
    grid = Grid(len(pictures), shape, columns=len(pictures))
    for picture in pictures:
        grid.add(picture.clamp(-1, 1))
    return grid.image()


def _enlarged(image: Image.Image) -> Image.Image:
    times = max(1, SHOWN // image.height)
    return image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)


def _write(folder: Path, found: Projection, name: str, model: str) -> None:
    recipe = to_json(found.recipe)
    told = {"model": model, "recipe": recipe, "projection": {"of": name, "psnr": round(found.psnr, 2)}}
    write_png(to_image(found.picture), folder / "result.png", told)
    write_png(side_by_side(found), folder / "side-by-side.png", told)
    write_json(folder / "recipe.json", recipe)
    course = {"of": name, "model": model, "psnr": found.psnr, "perceived": found.perceived, "length": found.length}
    course |= {"seconds": found.seconds, "stopped": found.stopped}
    columns = {"loss": [loss for loss, _ in found.course], "psnr by step": [decibels for _, decibels in found.course]}
    write_json(folder / "course.json", course | columns)
