"""Commands that open a page or edit pictures of a model: explore, studio, directions, project."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from simulacra.cli.entry import command, set_threads
from simulacra.errors import SimulacraError


@command("create", "simulacra explore runs/faces-r3gan")
def explore(
    model: str | None = None,
    /,
    *,
    port: int = 8666,
    host: str = "127.0.0.1",
    open: bool = True,
    osc: int | None = None,
    osc_to: str = "",
) -> None:
    """Make the picture you want in the browser: sliders, mixing, your own photo; without arguments, the studio of this folder.

    Parameters
    ----------
    model
        A run (its best checkpoint), a checkpoint, a model folder, hub:OWNER/NAME, or peeps, the bundled model.
    port
        Port of the page; the next free one if it is taken.
    host
        Address to listen on; 127.0.0.1 is this machine alone.
    open
        Open the page in the browser.
    osc
        Port for OSC messages of other programs, such as 9000; they move what the live tab connects them with.
    osc_to
        Where the values of live playing go as OSC messages: a port of this machine, or HOST:PORT.
    """
    if model is None:
        if osc is not None or osc_to:
            raise SimulacraError("explore.osc_needs_model")
        studio(port=port, host=host, open=open)
        return
    from simulacra.explore.server import explore as serve

    serve(model, port=port, host=host, open=open, osc=osc, osc_to=osc_to)


@command("start", "simulacra studio pictures-and-models")
def studio(folder: Path = Path(), /, *, port: int = 8666, host: str = "127.0.0.1", open: bool = True) -> None:
    """The whole way on one page: bring pictures, train, watch, compare; trainings outlive the page.

    Parameters
    ----------
    folder
        Folder of the datasets, runs and uploaded pictures; the current one if not given.
    port
        Port of the page; the next free one if it is taken.
    host
        Address to listen on; 127.0.0.1 is this machine alone.
    open
        Open the page in the browser.
    """
    from simulacra.studio.server import studio as serve

    serve(folder, port=port, host=host, open=open)


@command("create", "simulacra directions runs/faces-r3gan --sheet directions.png")
def directions(
    model: str | None = None,
    /,
    *,
    labels: bool = False,
    data: str | None = None,
    count: int = 12,
    orthogonal: bool = False,
    samples: int = 4000,
    rename: list[str] | None = None,
    sheet: Path | None = None,
    seed: int = 0,
    out: Path | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    threads: int | None = None,
) -> None:
    """Find directions along which a model's pictures change in a way that has a name, and save them next to the model.

    Parameters
    ----------
    model
        A run (its best checkpoint), a checkpoint, a model folder, hub:OWNER/NAME, or peeps, the bundled model.
    labels
        Also learn a direction for each attribute or class of the model's data that can be read from its pictures.
    data
        Prepared dataset to learn from, if not the training data; implies --labels.
    count
        At most so many directions that are found without labels.
    orthogonal
        Make each learned direction leave alone what the others change.
    samples
        Generated pictures to learn from.
    rename
        old=new; then nothing is searched. Names that you gave are never removed.
    sheet
        PNG to draw: a row for each direction, strengths from -3 to 3.
    seed
        Seed of the picture on the sheet, and of those that effects are measured on.
    out
        File to save them in; next to the run or the model if not given.
    device
        Device to compute on.
    threads
        Processor threads; fewer can be faster on a busy machine.
    """
    from simulacra.console import tasks
    from simulacra.device import choose_device
    from simulacra.latent.directions import (
        direction_sheet,
        find_directions,
        print_directions,
        rename_directions,
        write_sheet,
    )
    from simulacra.storage import load_generator

    set_threads(threads)
    if sheet is not None and sheet.exists():
        raise SimulacraError("latent.sheet_exists", path=sheet)
    if rename:
        saved = rename_directions(model, rename, out)
    else:
        with tasks() as begin:
            saved = find_directions(
                model, labels=labels, data=data, count=count, orthogonal=orthogonal, samples=samples, seed=seed, out=out,
                device=device, begin=begin,
            )  # fmt: skip
    print_directions(saved)
    if sheet is not None:
        generator = load_generator(model, choose_device(device))
        write_sheet(sheet, direction_sheet(generator, saved.directions, seed=seed))


@command("create", "simulacra project me.jpg runs/faces-r3gan")
def project(
    photo: Path,
    model: str = "peeps",
    /,
    *,
    out: Path | None = None,
    steps: int = 500,
    starts: int = 4,
    seed: int = 0,
    label: str = "",
    wide: bool = False,
    encoder: bool = False,
    minutes: float = 3.0,
    film: bool = False,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    threads: int | None = None,
) -> None:
    """Project a photo into the model's latent space (latent inversion); the result can be edited, mixed and walked from.

    Parameters
    ----------
    photo
        The picture; it is cropped and resized as prepare would.
    model
        A run (its best checkpoint), a checkpoint, a model folder, hub:OWNER/NAME, or peeps, the bundled model.
    out
        A new folder for the result; PHOTO-projected if not given.
    steps
        Steps of the search.
    starts
        Places to start from; the worst are dropped on the way.
    seed
        Decides the places and all noise.
    label
        What the picture shows, for a conditional model; estimated too if not given.
    wide
        Give every layer a latent of its own: closer to the photo, farther from the model.
    encoder
        Start from the guess of a network that predicts latents; it is trained first where the model has none.
    minutes
        Minutes to train that network.
    film
        Also write a film of the search, course.webp.
    device
        Device to compute on.
    threads
        Processor threads; fewer can be faster on a busy machine.
    """
    from simulacra.console import say, tasks
    from simulacra.latent.project import project as invert

    set_threads(threads)
    out = out or photo.with_name(f"{photo.stem}-projected")
    with tasks() as begin:
        projection = invert(
            photo, model, out, steps=steps, starts=starts, seed=seed, label=label, wide=wide,
            encoder_minutes=minutes if encoder else None, film=film, device=device, begin=begin,
        )  # fmt: skip
    say("latent.projected", out=out, verdict=projection.verdict(), steps=len(projection.course))
