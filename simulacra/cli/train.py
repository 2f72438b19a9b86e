"""The commands that train, and show how it went."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

from simulacra.cli.entry import command, set_threads


@command("train", "simulacra train faces --minutes 20")
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
    set_threads(threads)
    if dry_run:
        describe(data, **options)
    else:
        _, ended = carry_out(data, disk=disk * 1e9 if disk is not None else None, draw=True, **options)
        sys.exit(0 if ended else 130)


@command("train", "simulacra curves runs/faces-r3gan")
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


@command("start", "simulacra demo")
def demo(run: Path = Path("runs/demo"), /) -> None:
    """Train on the built-in people for up to three minutes and show what came of it.

    Parameters
    ----------
    run
        The run's folder; simulacra train goes on with it afterwards.
    """
    from simulacra.demo import demo as show

    sys.exit(130 if show(run) else 0)
