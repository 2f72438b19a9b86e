"""The commands that say how good a model is."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from simulacra.cli.entry import command, set_threads


@command("judge", "simulacra evaluate runs/faces-r3gan")
def evaluate(
    model: str | None = None,
    /,
    *,
    on: Literal["train", "valid", "test"] | None = None,
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
        The part of the data set to compare with: train, if not given. A model that translates is then given pictures of
        the test part (else valid, else train), for it was trained on the others; with a part named, of that one.
    data
        The prepared data set to compare with, if not the one it was trained on.
    samples
        Pictures to draw, or to translate in each direction; also at most so many real ones.
    metrics
        Which scores, with commas: fd,kid,prdc,diversity,memorisation,path,classes,within,attributes; all that model and
        data allow if not given. within is by class, attributes says whether those that were asked for show: for a model
        trained with conditional=true. For a model that translates: fd,kid,prdc,diversity,cycle,identity,pairs; pairs
        where files of one name show the same in both domains.
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
    from simulacra.device import choose_device
    from simulacra.measure.evaluate import evaluate as measure
    from simulacra.measure.printing import print_certificate

    set_threads(threads)
    with tasks() as advance:
        told, path = measure(
            model, on=on, data=data, samples=samples, metrics=metrics and [word.strip() for word in metrics.split(",")],
            first_seed=first_seed, extractor=extractor, weights=weights, sha256=sha256, out=out,
            device=choose_device(device), advance=advance,
        )  # fmt: skip
    print_certificate(told, path)


@command("judge", "simulacra choose runs/faces-r3gan")
def choose(
    run: Path,
    /,
    *,
    samples: int = 1000,
    on: Literal["train", "valid", "test"] | None = None,
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
        Pictures to draw from each checkpoint, or to translate in each direction.
    on
        The part of the data set to compare with: train, if not given. A model that translates is then given pictures of
        the valid part (else train), never those for tests; with a part named, of that one.
    data
        The prepared data set to compare with, if not the one it was trained on.
    device
        Where to compute.
    threads
        Processor threads; fewer can be faster on a busy machine.
    """
    from simulacra.console import tasks
    from simulacra.device import choose_device
    from simulacra.measure.choose import choose as pick
    from simulacra.measure.printing import print_choice

    set_threads(threads)
    with tasks() as advance:
        told = pick(run, samples=samples, on=on, data=data, device=choose_device(device), advance=advance)
    print_choice(run, told)


@command("judge", "simulacra compare runs/faces-r3gan runs/faces-dcgan")
def compare(
    a: str,
    b: str,
    /,
    *,
    samples: int = 2000,
    on: Literal["train", "valid", "test"] | None = None,
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
        Pictures to draw from each, or to translate in each direction.
    on
        The part of the data set to compare with, as for evaluate.
    data
        The prepared data set to compare with, if not the one that a was trained on.
    device
        Where to compute.
    threads
        Processor threads; fewer can be faster on a busy machine.
    """
    from simulacra.console import tasks
    from simulacra.device import choose_device
    from simulacra.measure.compare import compare as weigh
    from simulacra.measure.printing import print_comparison

    set_threads(threads)
    with tasks() as advance:
        told = weigh(a, b, samples=samples, on=on, data=data, device=choose_device(device), advance=advance)
    print_comparison(told)


@command("judge", "simulacra report runs/faces-r3gan")
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
