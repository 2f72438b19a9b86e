"""The command that writes a model in another format: export."""

from __future__ import annotations

from pathlib import Path

from simulacra.cli.entry import command
from simulacra.errors import SimulacraError


@command("share", "simulacra export runs/faces-r3gan faces.onnx")
def export(model: str, out: Path, /, *, to: str = "", size: int | None = None) -> None:
    """Write a generator as ONNX, which runs without torch, also in browsers.

    The input is z [N, numbers of the latent]; a conditional model also takes y [N, labels]: one-hot for a class, or
    each attribute from 0 to 1. The output is pictures [N, channels, height, width] in [-1, 1]. A translator takes
    such pictures as images, and its output is called translated.

    Parameters
    ----------
    model
        A run (its best checkpoint), a checkpoint, a model folder, hub:OWNER/NAME, or peeps, the bundled model.
    out
        File to write, such as faces.onnx.
    to
        For a translator, the domain to translate to: a, b or its name.
    size
        Height of the pictures in pixels, by the run's upscalers; the model's own if not given.
    """
    from simulacra.cascade import cascade_of_size
    from simulacra.console import say
    from simulacra.files import read_json
    from simulacra.generator import as_generator
    from simulacra.publish.onnx import export as write
    from simulacra.publish.onnx import export_translator
    from simulacra.storage import load, model_folder
    from simulacra.translator import Translator

    stored = load(model)
    gan = str(read_json(model_folder(model) / "config.json")["gan"])
    if isinstance(stored, Translator):
        path = export_translator(stored, out, stored.require_side(to), gan=gan)
        say("export.translator_written", path=path, channels=stored.shape[0], by=stored.multiple)
        return
    if to:
        raise SimulacraError("export.to_without_translator", model=model)
    generator = as_generator(stored)
    path = write(generator, out, gan=gan, cascade=cascade_of_size(model, generator.shape, size))
    latent = f"z [N, {generator.z_dim}] {generator.prior}"
    if not generator.labels:
        say("export.written", path=path, latent=latent)
    elif generator.attributes:
        say("export.written_attributes", path=path, latent=latent, labels=generator.labels)
    else:
        say("export.written_classes", path=path, latent=latent, labels=generator.labels)
