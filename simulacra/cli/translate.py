"""The command that translates pictures of one domain into the other."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from simulacra.cli.entry import command, set_threads
from simulacra.errors import SimulacraError
from simulacra.messages import text

MOST_NAMED = 20  # of the pictures set aside


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
        A run, a checkpoint, a model folder or hub:OWNER/NAME.
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
    from simulacra.console import errors, say, tasks, warn
    from simulacra.translation import translate as write

    set_threads(threads)
    try:
        with tasks() as begin:
            summary = write(model, source, out, to, keep_size=keep_size, cycle=cycle, device=device, begin=begin)
    except KeyboardInterrupt:
        warn("cli.translate_stopped", out=out)
        sys.exit(130)
    if summary.warning:
        errors.print(f"simulacra: {summary.warning}", markup=False)
    for name, reason in summary.set_aside[:MOST_NAMED]:
        errors.print(text("cli.reason", name=name, reason=reason), markup=False)
    set_aside = len(summary.set_aside)
    if set_aside > MOST_NAMED:
        errors.print(text("cli.and_more", count=set_aside - MOST_NAMED), markup=False)
    if not summary.translated and not summary.existing:
        raise SimulacraError("cli.nothing_translated", count=set_aside)
    if summary.translated:
        say("cli.translated", count=summary.translated, to=summary.to, out=out)
    if summary.existing:
        say("cli.translated_before", count=summary.existing)
    if set_aside:
        say("cli.set_aside", count=set_aside)
