"""Commands that train: train, curves."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from simulacra.cli.entry import command, set_threads
from simulacra.training.options import TrainOptions

DEFAULTS = TrainOptions()


@command("train", "simulacra train faces --minutes 20")
def train(
    data: str,
    /,
    *words: str,
    options: Annotated[TrainOptions, Parameter(name="*")] = DEFAULTS,
    dry_run: bool = False,
    **settings: str,
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
    from simulacra.training.plan import plan
    from simulacra.training.run import execute
    from simulacra.training.terminal import describe

    spelled = [f"{name.replace('-', '_')}={value}" for name, value in settings.items()]
    values = parse_words([*words, *spelled])
    if dry_run:
        set_threads(options.threads)
        describe(plan(data, options, values), options.device)
        return
    _, ended = execute(data, options, values, draw=True)
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
