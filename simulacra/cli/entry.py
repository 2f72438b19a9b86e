"""The command line itself: what every command hangs on, and how its errors are said."""

from __future__ import annotations

import sys

from cyclopts import App

import simulacra
from simulacra.errors import SimulacraError

app = App(
    name="simulacra",
    help="Turn a folder of your own pictures into a generator of new ones.",
    version=simulacra.__version__,
    suppress_keyboard_interrupt=False,  # `main` says that it stopped
)


def set_threads(threads: int | None) -> None:
    """Processor threads for torch, if they were asked for."""
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
