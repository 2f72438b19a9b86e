"""Projection of a photo: preparation of the photo, latent inversion, and the folder with the result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from simulacra.console import Begin, silent
from simulacra.data import decoding
from simulacra.data.rejects import UnusablePicture
from simulacra.device import choose_device
from simulacra.errors import SimulacraError, near_path
from simulacra.files import atomic_folder, write_json
from simulacra.generator import Generator, to_image
from simulacra.grid import Grid
from simulacra.latent.encoder import encoder_for
from simulacra.latent.film import write_film
from simulacra.latent.inversion import Progress, Projection, invert
from simulacra.latent.recipe import to_json
from simulacra.messages import text
from simulacra.provenance import write_png
from simulacra.settings import Shape
from simulacra.storage import fingerprint, load_generator

SHEET_SIDE = 256  # pixels: side-by-side pictures are enlarged to about this height
FRAMES, FPS = 120, 25.0  # of the film of the search
CHANNELS: dict[int, Literal["grey", "rgb", "rgba"]] = {1: "grey", 3: "rgb", 4: "rgba"}


def project(
    photo: str | Path,
    model: str | Path | None = None,
    out: str | Path | None = None,
    *,
    steps: int = 500,
    starts: int = 4,
    seed: int = 0,
    label: str = "",
    wide: bool = False,
    encoder_minutes: float | None = None,
    film: bool = False,
    device: str = "auto",
    begin: Begin = silent,
) -> Projection:
    """Project a photo into the model's latent space (latent inversion), and write a folder with the result.

    model: a run, a checkpoint, a model's folder or "peeps"; default: the bundled model. out: a new folder; default:
    PHOTO-projected, beside the photo. It gets result.png, side-by-side.png, recipe.json and course.json.
    steps, starts, seed, label, wide: see `invert`. encoder_minutes: start from an encoder's guess; one is trained for
    so long unless the model has one. film: also write course.webp, a film of the search.
    Raises `SimulacraError` for a photo that cannot be used or an `out` that exists.
    """
    photo = Path(photo)
    out = photo.with_name(f"{photo.stem}-projected") if out is None else Path(out)
    generator = load_generator(model, choose_device(device))
    _check_new(out)
    preprocess_photo(photo, generator.shape)  # fails before an encoder is trained
    options: dict[str, Any] = {"steps": steps, "starts": starts, "seed": seed, "label": label, "wide": wide}
    if encoder_minutes is not None:
        percent, done = begin(text("latent.progress_encoder"), 100), 0

        def on_encoder_step(share: float, loss: float) -> None:
            nonlocal done
            percent(int(100 * share) - done)
            done = int(100 * share)

        options["encoder"] = encoder_for(model, generator, minutes=encoder_minutes, on_step=on_encoder_step)
    advance = begin(text("latent.progress_search"), steps)
    return project_photo(
        generator,
        photo,
        out,
        model=fingerprint(model),
        film=film,
        on_step=lambda progress: advance(progress.step > 0),
        **options,
    )


def preprocess_photo(
    source: Path | bytes | NDArray[np.uint8],
    shape: Shape,
    *,
    crop: decoding.Crop = "centre",
    max_pixels: int = 100_000_000,
) -> Tensor:
    """A photo as data preparation makes it for pictures of `shape` (C, H, W): [C, H, W] in [-1, 1].

    Upright, cropped, resized and with the model's channels; transparency is laid on white unless the model has it.
    source: a file, its bytes, or pixels [H, W] or [H, W, C]; `max_pixels` at most.
    Raises `SimulacraError` for what is not a picture.
    """
    path = source if isinstance(source, Path) else None
    if isinstance(source, Path):
        if source.is_dir():
            raise SimulacraError("latent.photo_is_a_folder", path=source)
        if not source.is_file():
            raise SimulacraError("latent.photo_missing", path=source, hint=near_path(source))
        try:
            source = source.read_bytes()
        except OSError as error:
            raise SimulacraError("latent.photo_unreadable", path=path, reason=error.strerror) from error
    channels, height, width = shape
    try:
        # min_side=1: the user chose this photo, however small
        options = decoding.DecodeOptions(
            size=(height, width), channels=CHANNELS[channels], crop=crop, min_side=1, max_pixels=max_pixels
        )
        pixels, _ = decoding.decode(source, options)
    except UnusablePicture as error:
        if path is None:
            raise SimulacraError("latent.photo_unusable", reason=str(error)) from error
        raise SimulacraError("latent.photo_file_unusable", path=path, reason=str(error)) from error
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 127.5 - 1


def project_photo(
    generator: Generator,
    photo: Path,
    out: Path,
    *,
    model: str,
    film: bool = False,
    crop: decoding.Crop = "centre",
    on_step: Callable[[Progress], object] = lambda progress: None,
    **options: Any,
) -> Projection:
    """Project a photo and write the folder `out`, which must not exist; `options` are those of `invert`.

    model: the fingerprint to record.
    """
    _check_new(out)
    target = preprocess_photo(photo, generator.shape, crop=crop)
    frames: list[Image.Image] = []

    def watch(progress: Progress) -> None:
        due = progress.step * FRAMES // progress.steps > (progress.step - 1) * FRAMES // progress.steps
        if film and progress.step and (due or progress.step == 1):
            frames.append(_enlarge(_row([target, progress.picture], generator.shape)))
        on_step(progress)

    projection = invert(generator, target, on_step=watch, **options)
    with atomic_folder(out) as folder:
        _write(folder, projection, photo.name, model)
        if len(frames) > 1:
            write_film(folder / "course.webp", frames, len(frames), fps=FPS)
    return projection


def side_by_side(projection: Projection) -> Image.Image:
    """Target, result, and their absolute difference (black: none), enlarged."""
    difference = (projection.picture.clamp(-1, 1) - projection.target).abs() - 1
    if len(difference) == 4:
        difference[3] = 1
    channels, height, width = projection.target.shape
    return _enlarge(_row([projection.target, projection.picture, difference], (channels, height, width)))


def _check_new(out: Path) -> None:
    if out.exists():
        raise SimulacraError("latent.projection_exists", path=out)


def _row(pictures: list[Tensor], shape: Shape) -> Image.Image:
    grid = Grid(len(pictures), shape, columns=len(pictures))
    for picture in pictures:
        grid.add(picture.clamp(-1, 1))
    return grid.image()


def _enlarge(image: Image.Image) -> Image.Image:
    factor = max(1, SHEET_SIDE // image.height)
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def _write(folder: Path, projection: Projection, name: str, model: str) -> None:
    """Write the pictures, the recipe and the course. The JSON keys are a file format."""
    recipe = to_json(projection.recipe)
    record = {"model": model, "recipe": recipe, "projection": {"of": name, "psnr": round(projection.psnr, 2)}}
    write_png(to_image(projection.picture), folder / "result.png", record)
    write_png(side_by_side(projection), folder / "side-by-side.png", record)
    write_json(folder / "recipe.json", recipe)
    course = {"of": name, "model": model, "psnr": projection.psnr, "perceived": projection.feature_distance}
    course |= {"length": projection.radius, "seconds": projection.seconds, "stopped": projection.stopped}
    course |= {"loss": [loss for loss, _ in projection.course], "psnr by step": [psnr for _, psnr in projection.course]}
    write_json(folder / "course.json", course)
