"""Commands that measure how good a model or a set of pictures is: evaluate, choose, compare, score, report."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from simulacra.cli.entry import command, set_threads

if TYPE_CHECKING:
    import torch

    from simulacra.console import Begin


@contextlib.contextmanager
def _shared(device: str, output: Any = None) -> Iterator[tuple[torch.device, Begin, bool]]:
    """The device, the progress of the work, and whether this process prints: several processes of torchrun share the work."""
    from simulacra import distributed
    from simulacra.console import silent, tasks
    from simulacra.device import choose_device

    place = choose_device(device)
    with distributed.group(place):
        first = distributed.rank() == 0
        with tasks(output) if first else contextlib.nullcontext(silent) as advance:
            yield place, advance, first


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
    extractor: str = "efl0d",
    weights: Path | None = None,
    sha256: str | None = None,
    out: Path | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    threads: int | None = None,
) -> None:
    """Measure how good and how diverse a model's pictures are: scores with intervals, and a certificate. Needs no internet.

    Parameters
    ----------
    model
        A run (its best checkpoint), a checkpoint, a model folder, hub:OWNER/NAME, or peeps, the bundled model.
    on
        Part of the dataset to compare with; train if not given. A translator gets pictures that it was not trained
        on: of the test part, else valid, else train.
    data
        Prepared dataset to compare with; the one the model was trained on if not given.
    samples
        Pictures to draw, or to translate in each direction; also at most so many real ones.
    metrics
        Metrics, separated by commas; all that model and data allow if not given. simulacra evaluate --metrics help
        lists them.
    first_seed
        First seed; a run's best checkpoint is chosen with the seeds from 0, so these are others.
    extractor
        Feature network: efl0d is built in, and efl0, the same on untreated pictures; inception and dinov2 need
        --weights.
    weights
        Weight file of inception or dinov2.
    sha256
        Expected checksum of that file.
    out
        File of the certificate; certificate.json in the run if not given.
    device
        Device to compute on.
    threads
        Processor threads; fewer can be faster on a busy machine.
    """
    from simulacra.measure.evaluate import evaluate as measure
    from simulacra.measure.printing import print_certificate, print_metrics

    if metrics == "help":
        print_metrics()
        return
    set_threads(threads)
    with _shared(device) as (place, advance, first):
        certificate, path = measure(
            model, on=on, data=data, samples=samples, metrics=metrics and [word.strip() for word in metrics.split(",")],
            first_seed=first_seed, extractor=extractor, weights=weights, sha256=sha256, out=out,
            device=place, advance=advance,
        )  # fmt: skip
    if first:
        print_certificate(certificate, path)


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
    """Score every checkpoint of a run and mark the best, which becomes the run's model.

    Parameters
    ----------
    run
        Folder of a run.
    samples
        Pictures to draw from each checkpoint, or to translate in each direction.
    on
        Part of the dataset to compare with; train if not given. A translator gets pictures of the valid part, else
        train, never the test part.
    data
        Prepared dataset to compare with; the one the model was trained on if not given.
    device
        Device to compute on.
    threads
        Processor threads; fewer can be faster on a busy machine.
    """
    from simulacra.measure.choose import choose as pick
    from simulacra.measure.printing import print_choice

    set_threads(threads)
    with _shared(device) as (place, advance, first):
        choice = pick(run, samples=samples, on=on, data=data, device=place, advance=advance)
    if first:
        print_choice(run, choice)


@command("judge", "simulacra compare runs/faces-r3gan runs/faces-dcgan")
def compare(
    a: str,
    b: str,
    /,
    *,
    samples: int = 2000,
    on: Literal["train", "valid", "test"] | None = None,
    data: str | None = None,
    out: Path | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    threads: int | None = None,
) -> None:
    """Compare two models on the same seeds or pictures: whether one is better, and each difference with its interval.

    Parameters
    ----------
    a
        A run (its best checkpoint), a checkpoint, a model folder, hub:OWNER/NAME, or peeps, the bundled model.
    b
        Another model.
    samples
        Pictures to draw from each model, or to translate in each direction.
    on
        Part of the dataset to compare with, as for evaluate.
    data
        Prepared dataset to compare with; the one that a was trained on if not given.
    out
        PNG of both models' pictures, side by side; compare.png if not given, and only where the two judges contradict
        each other. Nothing is overwritten.
    device
        Device to compute on.
    threads
        Processor threads; fewer can be faster on a busy machine.
    """
    from simulacra.console import tasks
    from simulacra.device import choose_device
    from simulacra.measure.compare import compare as weigh
    from simulacra.measure.printing import print_comparison

    set_threads(threads)
    with tasks() as advance:
        comparison = weigh(
            a, b, samples=samples, on=on, data=data, out=out, device=choose_device(device), advance=advance
        )
    print_comparison(comparison)


@command("judge", "simulacra score generated photos --out scored")
def score(
    fakes: str,
    reals: str,
    /,
    *,
    unseen: str | None = None,
    samples: int = 5000,
    extractor: str = "efl0d",
    weights: Path | None = None,
    sha256: str | None = None,
    out: Path | None = None,
    html: Path | None = None,
    json: bool = False,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    threads: int | None = None,
) -> None:
    """Score any set of pictures against another: quality, variety and the nearest pairs. Needs no training and no internet.

    Each set is a folder, a zip or tar, an .npy or .npz file of pictures, a prepared dataset, a run, a checkpoint, a
    model folder or hub:OWNER/NAME. Pictures of all sizes are brought to one.

    Parameters
    ----------
    fakes
        Pictures to judge, or a model that draws them; peeps is the bundled model.
    reals
        Pictures to compare with. Of a prepared dataset the training pictures, or another part: data/faces:valid. peeps
        is the built-in dataset.
    unseen
        Real pictures that the fakes' model was not trained on, to find out whether fakes are copies of REALS; by
        default the other parts of a prepared dataset.
    samples
        Pictures of each set at most; also how many a model draws.
    extractor
        Feature network: efl0d is built in, and efl0, the same on untreated pictures; inception and dinov2 need
        --weights.
    weights
        Weight file of inception or dinov2.
    sha256
        Expected checksum of that file.
    out
        Folder for score.json, nearest.png (the nearest pairs) and report.html.
    html
        File for the report alone.
    json
        Print the scores as JSON and nothing else.
    device
        Device to compute on.
    threads
        Processor threads; fewer can be faster on a busy machine.
    """
    from json import dumps

    from simulacra.console import errors, say
    from simulacra.measure.set_printing import print_set_scores
    from simulacra.publish.scoring import score as measure

    set_threads(threads)
    with _shared(device, errors) as (place, advance, first):
        record = measure(
            fakes, reals, unseen=unseen, samples=samples, extractor=extractor, weights=weights, sha256=sha256, out=out,
            html=html, device=place, advance=advance,
        )  # fmt: skip
    if not first:
        return
    if json:
        print(dumps({"leads": record["leads"], "scores": record["scores"]}, indent=2, allow_nan=False))
        return
    print_set_scores(record)
    if out is not None:
        say("measure.set_files", path=out)
    if html is not None:
        say("measure.set_page", path=html)
    if out is None and html is None:
        say("measure.set_out_hint")


@command("judge", "simulacra report runs/faces-r3gan")
def report(run: Path, out: Path | None = None, /) -> None:
    """Write everything known about a run as one HTML file that opens offline.

    Parameters
    ----------
    run
        Folder of a run; it may still be training.
    out
        File to write; report.html in the run if not given.
    """
    from simulacra.console import console
    from simulacra.publish.report import report as write

    console.print(str(write(run, out)), markup=False)
