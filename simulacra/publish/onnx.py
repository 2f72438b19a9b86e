"""A generator as ONNX: latents z [N, z] in, pictures [N, C, H, W] float32 in [-1, 1] out; N is free.

A conditional one takes y [N, labels] float32, too: one-hot for a class, or attributes in [0, 1]. Of a translator one of
its two networks: images [N, C, H, W] in, translated [N, C, H, W] out; N is free, and so are H and W among the multiples of what
the network divides them by.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from simulacra.doctor import missing
from simulacra.errors import SimulacraError
from simulacra.files import written_aside
from simulacra.gan import Generator
from simulacra.translator import Side, Translator


def export(generator: Generator, out: Path) -> Path:
    """Write `generator` to the file `out`. Raises `SimulacraError` when the extra is missing or `out` exists."""
    _check(out)
    given = {"z": generator.seeded([0, 1]), "y": generator.labelled([0, 1])}
    inputs = {name: value for name, value in given.items() if value is not None}
    several = torch.export.Dim("N")
    _write(generator, out, tuple(inputs.values()), input_names=list(inputs), output_names=["images"],
           dynamic_shapes={name: {0: several} for name in inputs})  # fmt: skip
    return out


def export_translator(translator: Translator, out: Path, to: Side) -> Path:
    """The same of a translator's network that makes pictures of the domain `to`."""
    _check(out)
    channels, height, width = translator.shape
    by = translator.multiple
    # sides that differ and are more than one multiple, so that none is taken for a constant
    images = torch.zeros(2, channels, 4 * by + height // by * by, 5 * by + width // by * by)
    free = {0: torch.export.Dim("N"), 2: by * torch.export.Dim("h"), 3: by * torch.export.Dim("w")}
    _write(_OneWay(translator.into[to]), out, (images.to(translator.device),), input_names=["images"],
           output_names=["translated"], dynamic_shapes={"images": free})  # fmt: skip
    return out


class _OneWay(nn.Module):
    """A translator's network, in float32."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        translated: Tensor = self.network(images)
        return translated.float()


def _check(out: Path) -> None:
    if gone := missing("onnx"):
        raise SimulacraError(f"Exporting to ONNX needs {', '.join(gone)}: pip install 'simulacra[onnx]'")
    if out.exists():
        raise SimulacraError(f"{out} exists: choose another name.")


def _write(network: nn.Module, out: Path, inputs: tuple[Tensor, ...], **names: Any) -> None:
    with tempfile.TemporaryDirectory() as folder, _silence():
        aside = Path(folder) / "G.onnx"
        torch.onnx.export(
            network.eval(), inputs, aside, dynamo=True, external_data=False, verbose=False, **names
        )  # fmt: skip
        with written_aside(out) as file:
            file.write(aside.read_bytes())


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """The exporter prints, warns and logs of its own internals."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
