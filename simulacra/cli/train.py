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
    """Train a GAN on a prepared dataset; the same command again, or the run's folder, resumes the run.

    Parameters
    ----------
    data
        A prepared dataset, peeps (built in), or the folder of a run to resume.
    words
        Settings of the GAN as key=value words, such as lr=1e-4 gp=10; see simulacra list GAN.
    settings
        The same settings as options: --lr 1e-4 --gp 10.
    dry_run
        Show what would be done, and stop.
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
        Folder of a run; it may still be training.
    """
    from simulacra.console import console
    from simulacra.training.curves import draw_curves, make_film

    for path in [*draw_curves(run), make_film(run)]:
        console.print(str(path), markup=False)
