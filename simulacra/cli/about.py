"""The commands about simulacra itself, and about GANs as such."""

from __future__ import annotations

import sys
from pathlib import Path

from simulacra.cli.entry import command


@command("start", "simulacra list r3gan", name="list")
def list_(gan: str | None = None, /) -> None:
    """List the games; with a name, its presets and settings.

    Parameters
    ----------
    gan
        A game's name.
    """
    from simulacra.catalogue import list_games, show_game

    if gan is None:
        list_games()
    else:
        show_game(gan)


@command("start", "simulacra doctor")
def doctor() -> None:
    """Print versions, devices, and which extras work, with the line that installs a missing one."""
    from simulacra.doctor import report

    report()


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
