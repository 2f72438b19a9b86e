"""The commands, each a few lines over a function that lives elsewhere. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

from cyclopts import App

import simulacra
from simulacra.errors import SimulacraError

app = App(
    name="simulacra",
    help="Turn a folder of your own pictures into a generator of new ones.",
    version=simulacra.__version__,
)


@app.command
def inspect(source: str, /) -> None:
    """Say what is wrong with pictures, before any time is spent.

    Parameters
    ----------
    source
        A folder, zip, tar, IDX file, CIFAR archive, prepared data set, or peeps.
    """
    from simulacra.data.inspect import inspect as look
    from simulacra.data.inspect import print_report

    print_report(look(source))


@app.command
def prepare(
    source: str,
    out: Path,
    /,
    *,
    size: str = "64",
    crop: str = "centre",
    channels: Literal["auto", "grey", "rgb", "rgba"] = "auto",
    background: str = "white",
    per_folder: int | None = None,
    limit: int | None = None,
    labels: str = "auto",
    split: tuple[float, float, float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    resample: Literal["lanczos", "bicubic", "box"] = "lanczos",
    min_side: int = 8,
    max_megapixels: float = 100,
    drop_duplicates: bool = False,
    workers: int | None = None,
    zip: Path | None = None,
) -> None:
    """Make a data set of pictures: chosen, cropped, resized, packed and split. Nothing of the source is changed.

    Parameters
    ----------
    source
        A folder, zip, tar, IDX file, CIFAR archive, prepared data set, or peeps.
    out
        The data set's folder, to be made.
    size
        Side in pixels, or WIDTHxHEIGHT.
    crop
        centre: the largest centred part of that shape; none: squeeze the whole picture; or a share such as 0.5.
    channels
        auto is grey if no picture has colour, else rgb; rgba keeps transparency.
    background
        The colour behind transparent pictures, as a name or #rrggbb.
    per_folder
        At most so many pictures from each folder.
    limit
        At most so many in all.
    labels
        auto, none, folder, or the column of a table that becomes the class.
    split
        Shares for training, validation and test.
    seed
        Decides which pictures are taken and their order.
    resample
        How pictures are made smaller.
    min_side
        Pictures with a shorter side are set aside.
    max_megapixels
        Larger pictures are set aside before they are decoded.
    drop_duplicates
        Keep one of each group of exact duplicates.
    workers
        Processes; all cores if not given.
    zip
        Also write a zip in StyleGAN's format.
    """
    from simulacra.console import console
    from simulacra.data.prepare import Options, export_zip, parse_crop, parse_size
    from simulacra.data.prepare import prepare as make

    options = Options(
        size=parse_size(size), crop=parse_crop(crop), channels=channels, background=background, per_folder=per_folder,
        limit=limit, labels=labels, split=split, seed=seed, resample=resample, min_side=min_side,
        max_megapixels=max_megapixels, drop_duplicates=drop_duplicates, workers=workers,
    )  # fmt: skip
    made = make(source, out, options)
    parts = ", ".join(f"{count} {part}" for part, count in made.splits.items())
    console.print(f"{out}: {len(made)} pictures ({parts}). Look at {out / 'sheet.png'}", markup=False)
    console.print(f"Train with: simulacra train {out}", markup=False)
    if zip is not None:
        export_zip(made, zip)
        console.print(str(zip), markup=False)


@app.command
def train(
    data: str,
    /,
    *settings: str,
    gan: str | None = None,
    run: Path | None = None,
    total: str | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    balance: str | None = None,
    augment: Literal["none", "ada", "diff"] | None = None,
    precision: Literal["auto", "bf16", "fp32"] | None = None,
    seed: int | None = None,
    compile: bool | None = None,
    micro: int | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    threads: int | None = None,
    every: str | None = None,
    save_every: str | None = None,
    disk: float | None = None,
    measure_every: str | None = None,
    patience: int | None = None,
    rollback: int | None = None,
    dry_run: bool = False,
) -> None:
    """Train a GAN on a prepared data set; the same command again, or the run's folder, goes on where it stopped.

    Parameters
    ----------
    data
        A prepared data set, peeps (built in), or the folder of a run to go on with.
    settings
        Settings of the game as key=value words, such as lr=1e-4 gp=10; see simulacra list GAN.
    gan
        The game, with or without a preset: dcgan, wgan-gp, dcgan:celeba64 …; see simulacra list.
    run
        The run's folder; runs/DATA-GAN if not given.
    total
        Length in images shown, such as 200k.
    epochs
        Length in passes over the data.
    minutes
        Length in minutes of training, over all sittings.
    balance
        Who plays: adaptive, or fixed:K for K plays of D to one of G.
    augment
        What D sees is augmented, for few pictures: ada adapts how much, diff does it always.
    precision
        auto is bf16 where the hardware has it, else fp32.
    seed
        Decides the weights' start, the order of the data and all noise.
    compile
        Compile the whole step; pays mostly where there is a gradient penalty.
    micro
        Pictures at a time through the networks, when a batch does not fit the memory.
    device
        Where to train.
    threads
        Processor threads; fewer can be faster on a busy machine.
    every
        Images between journal lines and previews; a run by minutes has them at least every so many seconds, too, if not given.
    save_every
        Images between checkpoints.
    disk
        GB that the checkpoints may take; the best and the last two stay whatever it is.
    measure_every
        Images between scores; the best checkpoint is kept and becomes the run's model.
    patience
        The run ends after so many scores in a row without a new best (8); 0 never ends it.
    rollback
        How often the run may go back by itself to its last healthy checkpoint, with another seed (0).
    dry_run
        Say what would be done, and stop.
    """
    from simulacra.config import parse_words
    from simulacra.training.run import carry_out, describe

    options: dict[str, Any] = {
        "gan": gan, "run": run, "total": total, "epochs": epochs, "minutes": minutes, "balance": balance,
        "augment": augment, "precision": precision, "seed": seed, "compile": compile, "micro": micro, "every": every,
        "save_every": save_every, "measure_every": measure_every, "patience": patience, "rollback": rollback,
        "settings": parse_words(settings), "device": device,
    }  # fmt: skip
    _set_threads(threads)
    if dry_run:
        describe(data, **options)
    else:
        _, ended = carry_out(data, disk=disk * 1e9 if disk is not None else None, draw=True, **options)
        sys.exit(0 if ended else 130)


@app.command
def sample(
    model: str | None = None,
    out: Path = Path("samples"),
    /,
    *,
    seeds: str = "0-15",
    label: str = "",
    by_label: bool = False,
    grid: bool = False,
    each: bool = True,
    truncation: float = 1.0,
    min_latent: float = 0.0,
    recipe: Path | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
) -> None:
    """Draw pictures; without arguments, with the model that comes along.

    Parameters
    ----------
    model
        A run, a checkpoint, a model's folder, or peeps.
    out
        The folder to draw into; nothing there is overwritten.
    seeds
        Which pictures: a seed names a picture, such as 7 or 0-99 or 1,5,10-12.
    label
        What to draw, for a model trained with conditional=true: a class by name or number; or attributes, such as
        "glasses, smile=0.5, hair: red". As the data has them if not given.
    by_label
        Draw them all into one labels.png, too: a row for each class or attribute.
    grid
        Draw them all into one grid.png, too.
    each
        Draw one PNG a seed.
    truncation
        Below 1: nearer to the mean picture, less varied and often cleaner.
    min_latent
        Every latent number is at least this far from zero.
    recipe
        A recipe's JSON, or a picture that holds one: that is drawn instead, and nothing else is asked.
    device
        Where to draw.
    """
    from simulacra.console import console, progress
    from simulacra.model import fingerprint, load
    from simulacra.sampling import parse_seeds, recipe_in, rows_of, spelled, write_pictures, write_recipe
    from simulacra.training.device import choose_device

    if recipe is not None:
        from simulacra.latent.saved import by_name

        generator, told = load(model, choose_device(device)), recipe_in(recipe)
        path = write_recipe(generator, out, told, by_name(model), name=recipe.stem, model=fingerprint(model))
        console.print(str(path), markup=False)
        return
    numbers = parse_seeds(seeds)
    if not each and not grid and not by_label:
        raise SimulacraError("Nothing to draw: --no-each needs --grid or --by-label.")
    generator = load(model, choose_device(device))
    rows = len(rows_of(generator, label)) if by_label else 0
    with progress("Drawing", len(numbers) * (rows + (each or grid))) as advance:
        paths = write_pictures(
            generator, out, numbers, model=fingerprint(model), label=label, truncation=truncation,
            min_latent=min_latent, each=each, grid=grid, by_label=by_label, advance=advance,
        )  # fmt: skip
    what = f"{len(numbers) * (1 if each or grid else rows)} pictures" + (
        f" of {spelled(generator, label)}" if label else ""
    )
    console.print(f"{what}: {paths[0] if len(paths) == 1 else out}", markup=False)
    if generator.labels and not label and not by_label:
        console.print(
            f"Labels as in the data; --label {generator.name_of(0)!r} asks for one, --by-label shows all.", markup=False
        )


@app.command
def explore(model: str | None = None, /, *, port: int = 8666, host: str = "127.0.0.1", open: bool = True) -> None:
    """Make the picture you want in the browser: sliders, mixing, your own photo; without arguments, the model that comes along.

    Parameters
    ----------
    model
        A run, a checkpoint, a model's folder, or peeps.
    port
        Where to serve the page; the next free one if that is taken.
    host
        Who may use it: 127.0.0.1 is this machine alone.
    open
        Open the page in the browser.
    """
    from simulacra.explore.server import explore as serve

    serve(model, port=port, host=host, open=open)


@app.command
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
    """Find directions in which a model's pictures change in a way that has a name, and keep them beside the model.

    Parameters
    ----------
    model
        A run (its best checkpoint), a checkpoint, a model's folder, or peeps.
    labels
        Also learn a direction for each attribute or class of the model's data that can be read from its pictures.
    data
        The prepared data set to learn from, if not the one it was trained on; implies --labels.
    count
        At most so many that are found without labels.
    orthogonal
        Make each that is learned leave alone what the others go by.
    samples
        Generated pictures to learn from.
    rename
        old=new; nothing is searched for then. What has a name from you is never taken away.
    sheet
        A PNG to draw: a row for each direction, strengths from -3 to 3.
    seed
        The picture on the sheet, and those that effects are measured on.
    out
        The file to keep them in; with the run or the model if not given.
    device
        Where to compute.
    threads
        Processor threads; fewer can be faster on a busy machine.
    """
    from simulacra.console import tasks
    from simulacra.latent import command
    from simulacra.model import load
    from simulacra.training.device import choose_device

    _set_threads(threads)
    if rename:
        told = command.renamed(model, rename, out)
    else:
        with tasks() as begin:
            told = command.find(
                model, labels=data or ("" if labels else None), count=count, orthogonal=orthogonal, samples=samples,
                seed=seed, out=out, device=choose_device(device), begin=begin,
            )  # fmt: skip
    command.show(told)
    if sheet is not None:
        command.write_sheet(sheet, command.sheet(load(model, choose_device(device)), told.directions, seed=seed))


@app.command
def mix(
    model: str,
    out: Path,
    /,
    *,
    rows: str = "1-4",
    columns: str = "5-9",
    way: Literal["auto", "layers", "cross", "blend"] = "auto",
    layers: str = "",
    label: str = "",
    truncation: float = 1.0,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
) -> None:
    """Draw the children of pictures: parents at the left and at the top, between them what each two make.

    Parameters
    ----------
    model
        A run, a checkpoint, a model's folder, or peeps.
    out
        The PNG to write.
    rows
        Seeds of the parents at the left, such as 1-4 or 1,5,9.
    columns
        Seeds of the parents at the top.
    way
        layers: a child is the left parent with the top one's styles in some layers, where the model has layers;
        cross: each number of z is from either parent; blend: halfway. auto is layers if the model has them, else cross.
    layers
        Which layers are the top parent's, such as 0-3; the coarser half if not given.
    label
        What to draw, for a model trained with conditional=true; see simulacra sample.
    truncation
        Below 1: nearer to the mean picture.
    device
        Where to draw.
    """
    from simulacra.console import console
    from simulacra.latent.mix import parse_layers, write_mix
    from simulacra.model import fingerprint, load
    from simulacra.sampling import parse_seeds
    from simulacra.training.device import choose_device

    parents = parse_seeds(rows), parse_seeds(columns)
    path = write_mix(
        load(model, choose_device(device)), out, *parents, way, layers=parse_layers(layers), label=label,
        truncation=truncation, model=fingerprint(model),
    )  # fmt: skip
    console.print(str(path), markup=False)


@app.command
def walk(
    model: str,
    out: Path,
    /,
    *,
    seeds: str = "1,5,9",
    seconds: float = 6.0,
    fps: float = 25.0,
    loop: bool = True,
    space: Literal["auto", "z", "w"] = "auto",
    easing: Literal["smooth", "linear"] = "smooth",
    even: bool = False,
    label: str = "",
    truncation: float = 1.0,
    size: int | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
) -> None:
    """Film a walk from picture to picture.

    Parameters
    ----------
    model
        A run, a checkpoint, a model's folder, or peeps.
    out
        The film to write: .webp, .gif, .mp4 (needs the extra film), or a folder for numbered PNG.
    seeds
        The pictures on the way, in this order.
    seconds
        The film's length.
    fps
        Pictures a second.
    loop
        Go back to the first at the end, and play for ever.
    space
        z: on arcs through the prior; w: straight through what the mapping network makes of it; auto is w where there
        is such a network.
    easing
        smooth: slower at each picture on the way; linear: not.
    even
        Go so that pictures change at an even speed.
    label
        What to draw, for a model trained with conditional=true; see simulacra sample.
    truncation
        Below 1: nearer to the mean picture.
    size
        The film's height in pixels; the model's own if not given.
    device
        Where to draw.
    """
    from simulacra.console import console, progress
    from simulacra.latent.film import frames_in, write_walk
    from simulacra.latent.walk import Walk, stops_of
    from simulacra.model import fingerprint, load
    from simulacra.sampling import parse_seeds
    from simulacra.training.device import choose_device

    stops = stops_of(parse_seeds(seeds), label=label, truncation=truncation)
    way = Walk(load(model, choose_device(device)), stops, loop=loop, space=space)
    with progress("Drawing", frames_in(seconds, fps)) as advance:
        count = write_walk(
            way, out, seconds=seconds, fps=fps, easing=easing, even=even, size=size, model=fingerprint(model),
            advance=advance,
        )  # fmt: skip
    console.print(f"{count} pictures: {out}", markup=False)


@app.command
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
    """Find what a model must be given to draw a photo of yours; it can then be edited, mixed and walked from.

    Parameters
    ----------
    photo
        The picture; it is cropped and resized as prepare would.
    model
        A run, a checkpoint, a model's folder, or peeps.
    out
        A new folder for what is found; PHOTO-projected if not given.
    steps
        How long to search.
    starts
        Places to search from; the worst are dropped on the way.
    seed
        Decides the places and all noise.
    label
        What the picture shows, for a model trained with conditional=true; found, too, if not given.
    wide
        Every layer gets a latent of its own: closer to the photo, farther from the model.
    encoder
        Start from a guess of a network that reads latents from pictures; it is taught first if the model has none.
    minutes
        How long to teach the encoder.
    film
        Film the search, too: course.webp.
    device
        Where to compute.
    threads
        Processor threads; fewer can be faster on a busy machine.
    """
    from simulacra.console import console
    from simulacra.latent.photo import found_for
    from simulacra.training.device import choose_device

    _set_threads(threads)
    out = out or photo.with_name(f"{photo.stem}-projected")
    found = found_for(
        photo, model, out, choose_device(device), encoder=minutes if encoder else None, film=film, steps=steps,
        starts=starts, seed=seed, label=label, wide=wide,
    )  # fmt: skip
    console.print(f"{out}: PSNR {found.psnr:.1f} dB after {len(found.course)} steps", markup=False)


@app.command
def evaluate(
    model: str | None = None,
    /,
    *,
    on: Literal["train", "valid", "test"] = "train",
    data: str | None = None,
    samples: int = 5000,
    metrics: str | None = None,
    first_seed: int = 1_000_000,
    extractor: str = "efl0",
    weights: Path | None = None,
    sha256: str | None = None,
    out: Path | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    threads: int | None = None,
) -> None:
    """Say how good and how diverse a model's pictures are: scores with intervals, and a certificate. Needs no internet.

    Parameters
    ----------
    model
        A run (its best checkpoint), a checkpoint, a model's folder, or peeps.
    on
        The part of the data set to compare with.
    data
        The prepared data set to compare with, if not the one it was trained on.
    samples
        Pictures to draw; also at most so many real ones.
    metrics
        Which scores, with commas: fd,kid,prdc,diversity,memorisation,path,classes,within; all that model and data
        allow if not given. within is by class, for a model trained with conditional=true.
    first_seed
        The first seed; a run's best is chosen by those from 0, so these are others.
    extractor
        efl0, which comes along; inception or dinov2 with --weights.
    weights
        The weight file of inception or dinov2.
    sha256
        What its checksum must be.
    out
        Where to write the certificate; into the run if not given.
    device
        Where to compute.
    threads
        Processor threads; fewer can be faster on a busy machine.
    """
    from simulacra.console import tasks
    from simulacra.measure.evaluate import evaluate as measure
    from simulacra.measure.tables import print_certificate
    from simulacra.training.device import choose_device

    _set_threads(threads)
    with tasks() as advance:
        told, path = measure(
            model, on=on, data=data, samples=samples, metrics=metrics and [word.strip() for word in metrics.split(",")],
            first_seed=first_seed, extractor=extractor, weights=weights, sha256=sha256, out=out,
            device=choose_device(device), advance=advance,
        )  # fmt: skip
    print_certificate(told, path)


@app.command
def choose(
    run: Path,
    /,
    *,
    samples: int = 1000,
    on: Literal["train", "valid", "test"] = "train",
    data: str | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    threads: int | None = None,
) -> None:
    """Score every kept checkpoint of a run and mark the best; the run then stands for its best checkpoint.

    Parameters
    ----------
    run
        The folder of a run.
    samples
        Pictures to draw from each checkpoint.
    on
        The part of the data set to compare with.
    data
        The prepared data set to compare with, if not the one it was trained on.
    device
        Where to compute.
    threads
        Processor threads; fewer can be faster on a busy machine.
    """
    from simulacra.console import tasks
    from simulacra.measure.choose import choose as pick
    from simulacra.measure.tables import print_choice
    from simulacra.training.device import choose_device

    _set_threads(threads)
    with tasks() as advance:
        told = pick(run, samples=samples, on=on, data=data, device=choose_device(device), advance=advance)
    print_choice(run, told)


@app.command
def compare(
    a: str,
    b: str,
    /,
    *,
    samples: int = 2000,
    on: Literal["train", "valid", "test"] = "train",
    data: str | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    threads: int | None = None,
) -> None:
    """Compare two models: same seeds, same pictures, and the difference with its interval.

    Parameters
    ----------
    a
        A run (its best checkpoint), a checkpoint, a model's folder, or peeps.
    b
        Another.
    samples
        Pictures to draw from each.
    on
        The part of the data set to compare with.
    data
        The prepared data set to compare with, if not the one that a was trained on.
    device
        Where to compute.
    threads
        Processor threads; fewer can be faster on a busy machine.
    """
    from simulacra.console import tasks
    from simulacra.measure.compare import compare as weigh
    from simulacra.measure.tables import print_comparison
    from simulacra.training.device import choose_device

    _set_threads(threads)
    with tasks() as advance:
        told = weigh(a, b, samples=samples, on=on, data=data, device=choose_device(device), advance=advance)
    print_comparison(told)


@app.command
def report(run: Path, out: Path | None = None, /) -> None:
    """Write all that is known of a run as one HTML file that opens offline.

    Parameters
    ----------
    run
        The folder of a run; it may still be training.
    out
        The file to write; report.html in the run if not given.
    """
    from simulacra.console import console
    from simulacra.publish.report import report as write

    console.print(str(write(run, out)), markup=False)


@app.command
def lab(
    target: str | None = None,
    /,
    *settings: str,
    gan: str | None = None,
    out: Path | None = None,
    plays: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
) -> None:
    """See mode collapse happen, in the plane or on stacked digits, in a minute; without arguments, list what there is.

    Parameters
    ----------
    target
        ring, grid, roll, digits or bimodal.
    settings
        Settings of the game as key=value words.
    gan
        The game; mlp in the plane, dcgan on digits.
    out
        A new folder; lab/TARGET-GAN, with a number if that is taken.
    plays
        Length in plays of both sides.
    minutes
        Length in minutes.
    seed
        Decides the weights' start and all noise.
    """
    from simulacra.config import parse_words
    from simulacra.lab.lab import list_targets, run

    if target is None:
        list_targets()
        return
    words = parse_words(settings)
    result = run(target, gan=gan, settings=words, out=out, plays=plays, minutes=minutes, seed=seed)
    sys.exit(0 if result.ended else 130)


@app.command
def curves(run: Path, /) -> None:
    """Draw a run's loss and accuracy curves (PNG, SVG) and a film of its previews (WebP).

    Parameters
    ----------
    run
        The folder of a run; it may still be training.
    """
    from simulacra.console import console
    from simulacra.training.curves import draw_curves, make_film

    for path in [*draw_curves(run), make_film(run)]:
        console.print(str(path), markup=False)


@app.command
def export(model: str, out: Path, /) -> None:
    """Write a generator as ONNX, which runs without torch, in browsers too.

    Its input is z [N, numbers from the prior]; a model trained with conditional=true also takes y [N, labels]:
    one-hot for a class, or each attribute from 0 to 1. Its output is pictures [N, channels, height, width] in [-1, 1].

    Parameters
    ----------
    model
        A run, a checkpoint, a model's folder, or peeps.
    out
        The file to write, such as faces.onnx.
    """
    from simulacra.console import console
    from simulacra.model import load
    from simulacra.publish.onnx import export as write

    generator = load(model)
    told = f", y [N, {generator.labels}] {'attributes' if generator.attributes else 'classes, one-hot'}"
    inputs = f"z [N, {generator.z_dim}] {generator.prior}{told if generator.labels else ''}"
    console.print(f"{write(generator, out)}: {inputs} -> images in [-1, 1]", markup=False)


@app.command(name="list")
def list_(gan: str | None = None, /) -> None:
    """List the games; with a name, its presets and settings.

    Parameters
    ----------
    gan
        A game's name.
    """
    from simulacra.listing import list_games, show_game

    if gan is None:
        list_games()
    else:
        show_game(gan)


@app.command
def doctor() -> None:
    """Print versions, devices, and which extras work, with the line that installs a missing one."""
    from simulacra.doctor import report

    report()


@app.command
def demo(run: Path = Path("runs/demo"), /) -> None:
    """Train on the built-in people for up to three minutes and show what came of it.

    Parameters
    ----------
    run
        The run's folder; simulacra train goes on with it afterwards.
    """
    from simulacra.demo import demo as show

    sys.exit(130 if show(run) else 0)


def _set_threads(threads: int | None) -> None:
    if threads is None:
        return
    if not 1 <= threads <= 1024:
        raise SimulacraError(f"--threads is {threads}; it must be between 1 and 1024.")
    import torch

    torch.set_num_threads(threads)


def main() -> None:
    """The `simulacra` command: errors a user can put right are one sentence on stderr, and exit status 1."""
    try:
        app(sys.argv[1:])
    except SimulacraError as error:
        from simulacra.console import errors

        errors.print(f"simulacra: {error}", markup=False)
        sys.exit(1)
    except KeyboardInterrupt:
        from simulacra.console import errors

        errors.print("\nsimulacra: stopped.", markup=False)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)


if __name__ == "__main__":
    main()
