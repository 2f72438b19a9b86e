"""Commands to start with, and those that look around: demo, list, runs, lab, doctor."""

from __future__ import annotations

import sys
from pathlib import Path

from simulacra.cli.entry import command
from simulacra.errors import SimulacraError


@command("start", "simulacra demo")
def demo(run: Path = Path("runs/demo"), /) -> None:
    """Train on the built-in people for up to three minutes and show the result.

    Parameters
    ----------
    run
        Folder of the run; simulacra train resumes it later.
    """
    from simulacra.demo import demo as show

    sys.exit(130 if show(run) else 0)


@command("start", "simulacra list r3gan", name="list")
def list_(gan: str | None = None, /) -> None:
    """List the GANs, and for whom each is; with a name, its settings and presets.

    Parameters
    ----------
    gan
        Name of a GAN.
    """
    from simulacra.catalogue import list_gans, show_gan

    if gan is None:
        list_gans()
    else:
        show_gan(gan)


@command("start", "simulacra runs")
def runs(folder: Path = Path(), /, *, json: bool = False) -> None:
    """List all datasets and runs under a folder: size, best score, health, and whether a run is being trained.

    Parameters
    ----------
    folder
        Folder to look in, four folders deep.
    json
        Print the list as JSON, and nothing else.
    """
    from simulacra.shelf.entries import entries
    from simulacra.shelf.table import print_entries, print_json

    listed = entries(folder)
    if json:
        print_json(listed)
    else:
        print_entries(folder, listed)


@command("start", "simulacra lab ring --minutes 1")
def lab(
    target: str | None = None,
    /,
    *settings: str,
    gan: str | None = None,
    out: Path | None = None,
    plays: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    page: bool = False,
    port: int = 8666,
    open: bool = True,
) -> None:
    """Watch mode collapse happen within a minute, in the plane or on stacked digits; without arguments, list the targets.

    Parameters
    ----------
    target
        ring, grid, roll, digits, bimodal or distances.
    settings
        Settings of the GAN as key=value words.
    gan
        The GAN: mlp in the plane and dcgan on digits, if not given.
    out
        A new folder; lab/TARGET-GAN if not given, with a number where that exists.
    plays
        Length in steps of both players.
    minutes
        Length in minutes.
    seed
        Decides the initial weights and all noise.
    page
        Open the lab as a page in the browser, where all of this is played with.
    port
        Port of the page; the next free one if it is taken.
    open
        Open the page in the browser.
    """
    if page:
        if target is not None or settings or gan is not None or out is not None or (plays, minutes) != (None, None):
            raise SimulacraError("lab.alone")
        from simulacra.lab.server import serve_lab

        serve_lab(port=port, open=open)
        return
    from simulacra.config import parse_words
    from simulacra.lab.lab import list_targets, run_lab

    if target is None:
        list_targets()
        return
    words = parse_words(settings)
    result = run_lab(target, gan=gan, settings=words, out=out, steps=plays, minutes=minutes, seed=seed)
    sys.exit(0 if result.ended else 130)


@command("start", "simulacra doctor runs/faces-r3gan")
def doctor(run: Path | None = None, /) -> None:
    """Check a run's files and repair what can be; without one: versions, devices, extras and how to install them.

    Parameters
    ----------
    run
        Folder of a run.
    """
    if run is None:
        from simulacra.doctor import print_report

        print_report()
        return
    from simulacra.training.examination import print_examination
    from simulacra.training.repair import examine_run

    examination = examine_run(run)
    print_examination(examination)
    sys.exit(1 if examination.remaining else 0)
