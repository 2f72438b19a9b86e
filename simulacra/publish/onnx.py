"""Models as ONNX.

A generator: latents z [N, z] in, pictures `images` [N, C, H, W] float32 in [-1, 1] out. A conditional one also takes
y [N, labels] float32: one-hot for a class, or attributes in [0, 1]. One direction of a translator: `images` [N, C, H, W]
in, `translated` [N, C, H, W] out; H and W are any multiples of `Translator.multiple`. N is free in both.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import simulacra
from simulacra.cascade import Cascade
from simulacra.doctor import missing
from simulacra.errors import SimulacraError
from simulacra.files import atomic_file
from simulacra.gan import Generator
from simulacra.model import Model
from simulacra.translator import Side, Translator


def export(generator: Generator, out: Path, *, gan: str = "", cascade: Cascade | None = None) -> Path:
    """Write `generator` to the file `out`; returns `out`. gan: name for the file's metadata. cascade: enlarges pictures.

    Raises `SimulacraError` if the extra `onnx` is not installed or `out` exists.
    """
    _check(out)
    z, y = generator.seeded([0, 1]), generator.conditions([0, 1])
    inputs = {"z": z} if y is None else {"z": z, "y": y}
    batch = torch.export.Dim("N")
    network = generator if cascade is None else _Enlarged(generator, cascade)
    _write(network, out, tuple(inputs.values()), metadata_of(generator, gan), input_names=list(inputs),
           output_names=["images"], dynamic_shapes={name: {0: batch} for name in inputs})  # fmt: skip
    return out


def export_translator(translator: Translator, out: Path, to: Side, *, gan: str = "") -> Path:
    """Write the direction of `translator` that makes pictures of the domain `to`; otherwise like `export`."""
    _check(out)
    channels, height, width = translator.shape
    by = translator.multiple
    # Sides that differ and are more than one multiple, so that the exporter takes none for a constant.
    images = torch.zeros(2, channels, 4 * by + height // by * by, 5 * by + width // by * by)
    free = {0: torch.export.Dim("N"), 2: by * torch.export.Dim("h"), 3: by * torch.export.Dim("w")}
    metadata = metadata_of(translator, gan) | {"to": translator.domains["ab".index(to)]}
    _write(_OneDirection(translator.into[to]), out, (images.to(translator.device),), metadata, input_names=["images"],
           output_names=["translated"], dynamic_shapes={"images": free})  # fmt: skip
    return out


class _Enlarged(nn.Module):
    """A generator with upscalers behind it."""

    def __init__(self, generator: Generator, cascade: Cascade) -> None:
        super().__init__()
        self.generator, self.cascade = generator, cascade
        self(generator.seeded([0]), generator.conditions([0]))  # computes the matrices, so that they become constants

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        pictures: Tensor = self.cascade(self.generator(z, y))
        return pictures


class _OneDirection(nn.Module):
    """One network of a translator, with float32 output."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        translated: Tensor = self.network(images)
        return translated.float()


def check_extra() -> None:
    """Raise `SimulacraError` if the extra `onnx` is not installed."""
    if modules := missing("onnx"):
        raise SimulacraError("export.extra_missing", modules=list(modules))


def _check(out: Path) -> None:
    check_extra()
    if out.suffix != ".onnx":
        raise SimulacraError("export.not_onnx", path=out, name=out.with_suffix(".onnx").name)
    if out.exists():
        raise SimulacraError("export.file_exists", path=out)


def metadata_of(model: Model, gan: str) -> dict[str, str]:
    """What an ONNX file says of itself."""
    return {"simulacra": simulacra.__version__, "gan": gan, "task": model.task}


def _write(
    network: nn.Module, out: Path, inputs: tuple[Tensor, ...], metadata: Mapping[str, str], **options: Any
) -> None:
    data = to_onnx(network, inputs, metadata, **options)
    with atomic_file(out) as file:
        file.write(data)


def to_onnx(network: nn.Module, inputs: tuple[Tensor, ...], metadata: Mapping[str, str], **options: Any) -> bytes:
    """A network as an ONNX file. options: those of `torch.onnx.export`."""
    with tempfile.TemporaryDirectory() as folder, _silence():
        program = torch.onnx.export(network.eval(), inputs, dynamo=True, verbose=False, **options)
        assert program is not None
        program.model.metadata_props.update(metadata)
        path = Path(folder) / "G.onnx"
        program.save(path, external_data=False)
        return path.read_bytes()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Mute prints, warnings and logs of the exporter's internals."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
