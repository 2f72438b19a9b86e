"""The command that publishes a model on the Hugging Face Hub: publish."""

from __future__ import annotations

import sys
from pathlib import Path

from simulacra.cli.entry import command


@command("share", "simulacra publish runs/faces-r3gan --to OWNER/faces --dry-run")
def publish(
    model: str,
    /,
    *,
    to: str,
    license: str | None = None,
    out: Path | None = None,
    space: bool = False,
    dry_run: bool = False,
    with_discriminator: bool = False,
    anyway: bool = False,
) -> None:
    """Publish a model on the Hugging Face Hub: weights, settings, certificate, a grid of samples and a model card.

    Training pictures, names of files, paths and user names are not published. An upload needs the extra hub and a token
    (hf auth login); without a token, --out writes the folder. From then on every command that takes a model takes
    hub:OWNER/NAME, or hub:OWNER/NAME@REVISION.

    Parameters
    ----------
    model
        A run (its best checkpoint), a checkpoint or a model folder.
    to
        Repository on the Hub, OWNER/NAME; a new one is made where there is none, which everybody can see.
    license
        License by its name on the Hub, such as cc-by-4.0; if not given, it is asked for once in a terminal, and
        remembered in the run.
    out
        New folder to write what is uploaded to, too; without a token, only this.
    space
        Also make a static Space of the same name: a page that draws in the browser of whoever opens it. Needs the extra
        onnx.
    dry_run
        Upload nothing, and list what would be uploaded, with sizes.
    with_discriminator
        Publish the discriminator's weights, too, from which others can go on training.
    anyway
        Publish a model of which its certificate says that it copies training pictures.
    """
    from simulacra.console import say
    from simulacra.hub import size_text
    from simulacra.publish.hub.upload import publish as write

    ask = _ask_for_license if sys.stdin.isatty() and sys.stdout.isatty() else None
    published = write(
        model, to, license=license, ask=ask, out=out, space=space, dry_run=dry_run, discriminator=with_discriminator,
        copies=anyway,
    )  # fmt: skip
    for files, title in ((published.files, "hub.total"), (published.space, "hub.space_total")):
        for name, size in files.items():
            say("hub.file", size=f"{size_text(size):>9}", name=name)
        if files:
            say(title, count=len(files), size=size_text(sum(files.values())), name=to)
    if published.evaluate:
        say("hub.no_certificate", command=published.evaluate)
    if out is not None:
        say("hub.written", path=out)
    if published.url:
        say("hub.published", url=published.url, name=published.name)
        if published.space_url:
            say("hub.space_published", url=published.space_url)
    else:
        say("hub.not_uploaded", reason=f" {published.obstacle}" if published.obstacle else "")


def _ask_for_license() -> str:
    from simulacra.console import say
    from simulacra.errors import SimulacraError
    from simulacra.publish.hub.licenses import COMMON

    say("hub.license_question", common=COMMON)
    try:
        return input("> ")
    except EOFError as error:
        raise SimulacraError("hub.no_license", common=COMMON) from error
