"""The command that makes pictures of one domain into pictures of the other."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from simulacra.cli.entry import command, set_threads
from simulacra.errors import SimulacraError

TOLD = 20  # pictures set aside that are named, at most


@command("create", "simulacra translate runs/seasons-cyclegan summer winter --to b")
def translate(
    model: str,
    source: str,
    out: Path,
    /,
    *,
    to: str = "",
    keep_size: bool = False,
    cycle: bool = False,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    threads: int | None = None,
) -> None:
    """Translate pictures of one domain into the other, with a model trained for it.

    Results are PNGs that keep the picture's colour profile, EXIF and texts, and record their origin. Transparency is
    laid on white unless the model has it. Unusable pictures are set aside with a reason. Pictures that were
    translated before are left alone, so the same command resumes.

    Parameters
    ----------
    model
        A run, a checkpoint or a model folder.
    source
        A picture, a folder (searched recursively) or an archive.
    out
        Folder for the translations, which keep names and subfolders; nothing there is overwritten. For one picture, a
        PNG is possible too.
    to
        Domain to translate to: a, b or its name.
    keep_size
        Translate at the picture's own size, large ones in tiles; otherwise the shorter side becomes the model's.
    cycle
        Also write the translation translated back, as NAME.cycle.png.
    device
        Device to compute on.
    threads
        Processor threads; fewer can be faster on a busy machine.
    """
    from simulacra.console import console, errors, tasks
    from simulacra.translation import translate as carry_out

    set_threads(threads)
    try:
        with tasks() as begin:
            summary = carry_out(model, source, out, to, keep_size=keep_size, cycle=cycle, device=device, begin=begin)
    except KeyboardInterrupt:
        errors.print(
            f"\nsimulacra: stopped. What is in {out} is whole; the same command goes on from there.", markup=False
        )
        sys.exit(130)
    if summary.warning:
        errors.print(f"simulacra: {summary.warning}", markup=False)
    for name, reason in summary.set_aside[:TOLD]:
        errors.print(f"{name}: {reason}", markup=False)
    if len(summary.set_aside) > TOLD:
        errors.print(f"and {len(summary.set_aside) - TOLD} more")
    lost = f"{len(summary.set_aside)} of {len(summary.set_aside) + summary.translated + summary.existing} set aside"
    if not summary.translated and not summary.existing:
        raise SimulacraError(f"Nothing could be translated: {lost}.")
    there = f", {summary.existing} were there already" if summary.existing else ""
    console.print(
        f"{summary.translated} translated to {summary.to}{there}{f', {lost}' if summary.set_aside else ''}: {out}",
        markup=False,
    )
