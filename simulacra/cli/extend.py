"""Commands for GANs of other packages: new-gan, check-gan."""

from __future__ import annotations

import sys
from pathlib import Path

from simulacra.cli.entry import command, set_threads


@command("extend", "simulacra new-gan my-gan")
def new_gan(name: str, out: Path | None = None, /) -> None:
    """Write a small installable package with a GAN of your own: its file, entry point, tests and README.

    Parameters
    ----------
    name
        Name of the GAN: lower-case letters, digits and hyphens.
    out
        Folder of the package; ./NAME if not given.
    """
    from simulacra.console import say
    from simulacra.plugins.new_gan import new_gan as write

    say("plugins.written", folder=write(name, out), name=name)


@command("extend", "simulacra check-gan my-gan")
def check_gan(gan: str, /, *, only: str = "", threads: int | None = None) -> None:
    """Run the test suite of the registry on a GAN and print a table; one sentence for each check that fails.

    Parameters
    ----------
    gan
        A GAN: a name, file.py:Class or package.module:Class.
    only
        Run only these checks, separated by commas.
    threads
        Processor threads; fewer can be faster on a busy machine.
    """
    from simulacra.plugins.table import run

    set_threads(threads)
    sys.exit(0 if run(gan, [word.strip() for word in only.split(",") if word.strip()]) else 1)
