"""Commands that train: train, fork, upscale, curves, plan."""

from __future__ import annotations

import shlex
import sys
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from simulacra.cli.entry import command, set_threads
from simulacra.cli.language import option_of
from simulacra.training.options import TrainOptions

DEFAULTS = TrainOptions()
NAMES = {field.name: option_of(field) for field in fields(TrainOptions)}


def option_name(name: str) -> str:
    """The option of a field of `TrainOptions`, such as `from` of `pretrained`."""
    return NAMES.get(name, name).replace("_", "-")


@command("train", "simulacra train faces --minutes 20")
def train(
    data: str,
    /,
    *words: str,
    options: Annotated[TrainOptions, Parameter(name="*", name_transform=option_name)] = DEFAULTS,
    dry_run: bool = False,
    size: str = "auto",
    **settings: str,
) -> None:
    """Train a GAN on your pictures or a prepared dataset; the same command again, or the run's folder, resumes the run.

    A folder or archive of pictures is prepared first, into runs/data; after the training the best checkpoint is chosen
    and a grid is drawn.

    Parameters
    ----------
    data
        A folder of pictures, a prepared dataset, peeps (built in), or the folder of a run to resume.
    words
        Settings of the GAN as key=value words, such as lr=1e-4 gp=10; see simulacra list GAN.
    settings
        The same settings as options: --lr 1e-4 --gp 10.
    dry_run
        Show what would be done, and stop.
    size
        For pictures: side in pixels, WIDTHxHEIGHT, or auto, as prepare takes it.
    """
    from simulacra.config import parse_words
    from simulacra.console import say, warn
    from simulacra.device import choose_device
    from simulacra.errors import SimulacraError
    from simulacra.training.forecast import forecast
    from simulacra.training.run import execute, make_trainer
    from simulacra.training.terminal import describe
    from simulacra.workflow import is_pictures, train_on_pictures

    spelled = [f"{name.replace('-', '_')}={value}" for name, value in settings.items()]
    values = parse_words([*words, *spelled])
    if is_pictures(data):
        if dry_run:
            say("train.would_prepare", source=data)
            return
        try:
            ended = train_on_pictures(data, options, values, size)
        except KeyboardInterrupt:
            ended = False
        if not ended:
            warn("train.go_on", command=shlex.join(["simulacra", *sys.argv[1:]]))
        sys.exit(0 if ended else 130)
    if size != "auto":
        raise SimulacraError("train.size_of_prepared", data=data)
    if dry_run:
        device = choose_device(options.device)
        describe(forecast(data, options, values, lambda trial: make_trainer(trial, device)[0]), device)
        return
    _, ended = execute(data, options, values, draw=True)
    sys.exit(0 if ended else 130)


@command("train", "simulacra fork runs/faces-r3gan lr=1e-4")
def fork(
    run: Path,
    /,
    *words: str,
    at: str | None = None,
    augment: Literal["none", "ada", "diff"] | None = None,
    total: str | None = None,
    minutes: float | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    threads: int | None = None,
) -> None:
    """Begin a new run at a checkpoint of another one, with other settings: both futures differ by these alone.

    Without --total or --minutes nothing is trained yet; simulacra train does it. Networks cannot change. Two forks are
    compared on the same seeds by simulacra compare, and simulacra runs shows them below their parent.

    Parameters
    ----------
    run
        Folder of the run to begin at.
    words
        A name for the new run, and settings of the GAN to change as key=value words: slow lr=1e-4 gamma=5.
    at
        Checkpoint to begin at, by its images shown; the last one if not given.
    augment
        Augmentation from here on: none, ada or diff.
    total
        Train it at once, up to so many images shown, those of its parent included.
    minutes
        Train it at once, up to so many minutes, those of its parent included.
    device
        Device to compute on.
    threads
        Processor threads; fewer can be faster on a busy machine.
    """
    from simulacra.config import parse_words
    from simulacra.console import say
    from simulacra.errors import SimulacraError
    from simulacra.training.fork import fork as make
    from simulacra.training.options import check_numbers
    from simulacra.training.run import execute

    names = [word for word in words if "=" not in word]
    if len(names) > 1:
        raise SimulacraError("train.fork_names", names=names)
    settings = parse_words([word for word in words if "=" in word] + ([f"augment={augment}"] if augment else []))
    options = TrainOptions(total=total, minutes=minutes, device=device, threads=threads)
    check_numbers(options)
    folder = make(run, *names, at=at, settings=settings)
    say("train.forked", folder=folder, run=run)
    if total is not None or minutes is not None:
        _, ended = execute(folder, options, draw=True)
        sys.exit(0 if ended else 130)


@command("train", "simulacra upscale runs/faces-r3gan")
def upscale(
    run: Path,
    /,
    *,
    factor: int = 2,
    data: str | None = None,
    minutes: float | None = None,
    total: str | None = None,
    seed: int | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    threads: int | None = None,
) -> None:
    """Train a run's upscalers, for pictures of 2, 4 or 8 times the size; the same command again resumes.

    Needs data prepared with --keep-originals. At the end it prints a comparison with bicubic enlargement, on originals
    that were not trained on.

    Parameters
    ----------
    run
        Folder of a run whose model draws.
    factor
        2, 4 or 8; each doubling is a stage of its own.
    data
        The run's pictures prepared again with --keep-originals, where its own data have no originals.
    minutes
        Minutes of training for each stage; 5 if not given.
    total
        Length of each stage in images shown instead, such as 40k.
    seed
        Decides the initial weights, the order of the data and all noise.
    device
        Device to compute on.
    threads
        Processor threads; fewer can be faster on a busy machine.
    """
    from functools import partial

    from simulacra.console import tasks
    from simulacra.upscaling.printing import print_comparison
    from simulacra.upscaling.training import upscale as train_stages

    options = TrainOptions(minutes=minutes, total=total, seed=seed, device=device, threads=threads)
    with tasks() as begin:
        ended = train_stages(
            run, factor=factor, data=data, options=options, compared=partial(print_comparison, run), begin=begin
        )
    sys.exit(0 if ended else 130)


@command("train", "simulacra curves runs/faces-r3gan")
def curves(run: Path, /) -> None:
    """Draw a run's loss and accuracy curves (PNG, SVG) and a film of its previews (WebP).

    Parameters
    ----------
    run
        Folder of a run; it may still be training.
    """
    from simulacra.console import console
    from simulacra.training.curves import curves as draw

    for path in draw(run):
        console.print(str(path), markup=False)


@command("train", "simulacra plan faces")
def plan(
    data: str,
    /,
    *,
    out: Path | None = None,
    minutes: float | None = None,
    total: str | None = None,
    seeds: int = 2,
    gan: str | None = None,
    samples: int = 1000,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    threads: int | None = None,
    json: bool = False,
    dry_run: bool = False,
) -> None:
    """Find out how many pictures you need: short runs on an eighth, a quarter, half and all of them, and what more would bring.

    Parameters
    ----------
    data
        A prepared dataset, or peeps (built in).
    out
        Folder of the plan; runs/DATA-plan if not given. The same command again resumes it.
    minutes
        Length of each run in minutes, about; 3 if not given. All runs are shown the same number of images.
    total
        Length of each run in images shown instead, such as 20k.
    seeds
        Runs on each part, with other weights and other pictures; with 1, the luck of training is not measured.
    gan
        GAN, with or without a preset; chosen as for train if not given.
    samples
        Pictures to draw from a model for a score.
    device
        Device to compute on.
    threads
        Processor threads; fewer can be faster on a busy machine.
    json
        Print the result as JSON, and nothing else.
    dry_run
        Show what would be done and how long it would take, and stop.
    """
    from simulacra.console import silent, tasks
    from simulacra.planning.learning_curve import carry_out, open_study
    from simulacra.planning.printing import describe, print_curve, print_json

    set_threads(threads)
    quiet = json and not dry_run
    with nullcontext(silent) if quiet else tasks() as begin:
        study = open_study(
            data, out=out, minutes=minutes, total=total, seeds=seeds, gan=gan, samples=samples, device=device, begin=begin,
        )  # fmt: skip
        if not quiet:
            begin("", 0)
            describe(study)
        curve = None if dry_run else carry_out(study, begin)
    if curve is not None:
        (print_json if json else print_curve)(curve)
