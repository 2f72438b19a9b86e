"""The command that writes a model in another format: export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from simulacra.cli.entry import command
from simulacra.errors import SimulacraError

if TYPE_CHECKING:
    from simulacra.generator import Generator
    from simulacra.translator import Translator


@command("share", "simulacra export runs/faces-r3gan faces.html")
def export(
    model: str,
    out: Path,
    /,
    *,
    to: str = "",
    size: int | None = None,
    format: Literal["onnx", "html", "folder"] | None = None,
    nearest: bool = False,
) -> None:
    """Write a generator as a page that draws offline, or as ONNX, which runs without torch.

    faces.html is one file with the model, its runtime and a page of pictures, sliders, walks and its certificate. A
    browser opens it without a network. With --format folder the page is index.html, beside model.onnx and
    certificate.json.

    As ONNX, the input is z [N, numbers of the latent]; a conditional model also takes y [N, labels]: one-hot for a class,
    or each attribute from 0 to 1. The output is pictures [N, channels, height, width] in [-1, 1]. A translator takes
    such pictures as images, and its output is called translated.

    Parameters
    ----------
    model
        A run (its best checkpoint), a checkpoint, a model folder, hub:OWNER/NAME, or peeps, the bundled model.
    out
        File to write, such as faces.html or faces.onnx; with --format folder, a new folder.
    to
        For a translator, the domain to translate to: a, b or its name.
    size
        Height of the pictures in pixels, by the run's upscalers; the model's own if not given.
    format
        What to write; by the suffix of the name if not given.
    nearest
        Put small copies of all training pictures into the page, which shows those nearest to its picture.
    """
    from simulacra.generator import as_generator
    from simulacra.publish.formats import format_of
    from simulacra.storage import load
    from simulacra.translator import Translator

    kind = format_of(out, format)
    stored = load(model)
    if isinstance(stored, Translator):
        if kind != "onnx" or nearest:
            raise SimulacraError("export.page_of_translator", model=model, name=out.with_suffix(".onnx").name)
        _translator(model, stored, out, to)
        return
    if to:
        raise SimulacraError("export.to_without_translator", model=model)
    if kind == "onnx":
        if nearest:
            raise SimulacraError("export.nearest_without_page", name=out.with_suffix(".html").name)
        _onnx(model, as_generator(stored), out, size)
    else:
        _page(model, as_generator(stored), out, size, folder=kind == "folder", nearest=nearest)


def _page(model: str, generator: Generator, out: Path, size: int | None, *, folder: bool, nearest: bool) -> None:
    from simulacra.cascade import cascade_of_size
    from simulacra.console import say
    from simulacra.publish.exhibit.writing import write_folder, write_html

    cascade = cascade_of_size(model, generator.shape, size)
    write = write_folder if folder else write_html
    path = write(generator, model, out, cascade=cascade, nearest=nearest)
    page = path / "index.html" if folder else path
    say("export.page_written", path=page, size=f"{page.stat().st_size / 1e6:.1f}")


def _onnx(model: str, generator: Generator, out: Path, size: int | None) -> None:
    from simulacra.cascade import cascade_of_size
    from simulacra.console import say
    from simulacra.publish.onnx import export as write

    path = write(generator, out, gan=_gan(model), cascade=cascade_of_size(model, generator.shape, size))
    latent = f"z [N, {generator.z_dim}] {generator.prior}"
    if not generator.labels:
        say("export.written", path=path, latent=latent)
    elif generator.attributes:
        say("export.written_attributes", path=path, latent=latent, labels=generator.labels)
    else:
        say("export.written_classes", path=path, latent=latent, labels=generator.labels)


def _translator(model: str, translator: Translator, out: Path, to: str) -> None:
    from simulacra.console import say
    from simulacra.publish.onnx import export_translator

    path = export_translator(translator, out, translator.require_side(to), gan=_gan(model))
    say("export.translator_written", path=path, channels=translator.shape[0], by=translator.multiple)


def _gan(model: str) -> str:
    from simulacra.files import read_json
    from simulacra.storage import model_folder

    return str(read_json(model_folder(model) / "config.json")["gan"])
