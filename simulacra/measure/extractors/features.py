"""Features of pictures, from a network trained on ImageNet or the like: what every score is computed from.

One treatment for reals and fakes: a picture is rounded to 8 bits, as a saved file would be; grey is repeated to
three channels, RGBA is laid on white; then it is squeezed to the network's square, whatever its own shape, by
antialiased bicubic interpolation (Parmar et al., "On Aliased Resizing and Surprising Subtleties in GAN Evaluation",
2022, arXiv:2104.11222); Inception resizes as it did in TensorFlow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from simulacra.data.dataset import Dataset
from simulacra.errors import SimulacraError, did_you_mean
from simulacra.measure.extractors import cache, dinov2, efficientnet, inception, onnx_graph
from simulacra.measure.extractors import weights as files

EXTRACTORS = ("efl0", "inception", "dinov2")
TREATMENT = 1  # counted up when the treatment of pictures changes: kept features are then computed anew

Backend = Literal["torch", "onnxruntime"]
Features = dict[str, NDArray[np.float32]]  # [N, D] by layer
Advance = Callable[[int], object]  # told of so many more pictures done


@dataclass(frozen=True, kw_only=True, eq=False)
class Extractor:
    """A network that turns pictures into features, with all that names the features it gives."""

    name: str
    sha256: str  # of the weight file
    backend: Backend
    layers: Mapping[str, int]  # name -> dimensions
    fd_layer: str
    kid_layer: str
    neighbour_layer: str
    side: int | None  # pictures are made this large; None: the network resizes them, and takes 8 bits only
    device: torch.device
    # [N, 3, H, W] float32 in 0..255 -> [N, D] for each layer
    network: Callable[[Tensor], tuple[Tensor, ...]] = field(repr=False)

    @property
    def batch(self) -> int:
        """How many pictures at a time are fastest."""
        return 16 if self.device.type == "cpu" else 128

    @torch.no_grad()
    def __call__(self, pictures: Tensor, *, rounded: bool = True) -> dict[str, Tensor]:
        """Pictures [N, C, H, W] in [-1, 1] -> features [N, D] float32 on the CPU, by layer.

        `rounded=False` leaves out the rounding to 8 bits, for differences smaller than that. Raises
        `SimulacraError` for more than a picture's channels, and where the network takes 8 bits only.
        """
        if not rounded and self.side is None:
            raise SimulacraError(f"The feature extractor {self.name} takes pictures of 8 bits only: use efl0.")
        x = preprocess(pictures.to(self.device), rounded=rounded)
        if self.side is not None:
            # quicker on a CPU from a contiguous picture than from channels last, as data sets are packed
            x = F.interpolate(x.contiguous(), (self.side, self.side), mode="bicubic", antialias=True)
        # TF32 would make a GPU's features differ from a CPU's in the third figure
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            found = self.network(x)
        return {layer: values.float().cpu() for layer, values in zip(self.layers, found, strict=True)}


def preprocess(pictures: Tensor, *, rounded: bool = True) -> Tensor:
    """Pictures [N, 1 | 3 | 4, H, W] in [-1, 1] -> [N, 3, H, W] in 0..255: rounded, RGB, alpha laid on white."""
    if pictures.ndim != 4 or pictures.shape[1] not in (1, 3, 4):
        raise SimulacraError(f"Pictures of shape {tuple(pictures.shape)} have no features: [N, 1 | 3 | 4, H, W] have.")
    pixels = (pictures.float() * 127.5 + 127.5).clamp_(0, 255)
    if rounded:
        pixels.round_()
    if pixels.shape[1] == 4:
        pixels = 255 + (pixels[:, :3] - 255) * (pixels[:, 3:] / 255)
        pixels = pixels.round_() if rounded else pixels
    return pixels.expand(-1, 3, -1, -1)


def open_extractor(
    name: str = "efl0",
    *,
    device: str | torch.device = "cpu",
    weights: Path | None = None,
    sha256: str | None = None,
    backend: Literal["auto", "torch", "onnxruntime"] = "auto",
) -> Extractor:
    """The extractor called `name`.

    efl0: EfficientNet-lite0, its weights in a package. inception, dinov2: `weights` is a file that the user brings.
    sha256: what the file's must be. backend: ONNX Runtime serves efl0 on a CPU, and is taken there where installed.
    device: an Apple GPU ("mps") is passed over for the CPU, for it may lack what is needed here. Raises
    `SimulacraError` for an unknown name, weights that are missing, changed or of another network, and for a backend
    or package that is not there.
    """
    if name not in EXTRACTORS:
        hint = did_you_mean(name, EXTRACTORS) or f" There are: {', '.join(EXTRACTORS)}."
        raise SimulacraError(f"There is no feature extractor called {name!r}.{hint}")
    path = files.bundled_weights(weights) if name == "efl0" else files.user_weights(name, weights)
    digest = files.file_sha256(path)
    if sha256 is not None and sha256.lower() != digest:
        raise SimulacraError(f"The sha256 of {path} is {digest} and not {sha256}: it is another file, or damaged.")
    where = torch.device("cpu" if torch.device(device).type == "mps" else device)
    opened = {"efl0": _efl0, "inception": _inception, "dinov2": _dinov2}[name](path, where, backend)
    return Extractor(name=name, sha256=digest, device=where, **opened)


def _efl0(path: Path, device: torch.device, backend: str) -> dict[str, Any]:
    network = files.load_network(path, "efl0", efficientnet.from_state)
    told: dict[str, Any] = {"layers": efficientnet.LAYERS, "side": efficientnet.SIDE}
    told |= {"fd_layer": "112", "kid_layer": "1280", "neighbour_layer": "112"}
    if backend != "torch" and device.type == "cpu":
        try:
            return told | {"backend": "onnxruntime", "network": onnx_graph.runner(network)}
        except ImportError as error:
            if backend == "onnxruntime":
                raise SimulacraError(f"ONNX Runtime is not there ({error}): pip install 'simulacra[onnx]'") from error
    if backend == "onnxruntime":
        raise SimulacraError(f"ONNX Runtime serves the CPU only here, not {device}: use --device cpu.")
    last = torch.channels_last
    network = network.to(device, memory_format=last)  # type: ignore[call-overload]
    return told | {"backend": "torch", "network": lambda x: network(x.contiguous(memory_format=last))}


def _inception(path: Path, device: torch.device, backend: str) -> dict[str, Any]:
    _torch_only("inception", backend)
    return _one_layer(files.load_network(path, "inception", inception.Inception).to(device), 2048, None)


def _dinov2(path: Path, device: torch.device, backend: str) -> dict[str, Any]:
    _torch_only("dinov2", backend)
    network = files.load_network(path, "dinov2", dinov2.from_state).to(device)
    return _one_layer(network, network.pos_embed.shape[2], dinov2.SIDE)


def _torch_only(name: str, backend: str) -> None:
    if backend == "onnxruntime":
        raise SimulacraError(f"ONNX Runtime does not serve {name}: leave the backend out.")


def _one_layer(network: Callable[[Tensor], tuple[Tensor, ...]], width: int, side: int | None) -> dict[str, Any]:
    layer = str(width)
    told = {"layers": {layer: width}, "fd_layer": layer, "kid_layer": layer, "neighbour_layer": layer}
    return told | {"backend": "torch", "side": side, "network": network}


def features_of(
    extractor: Extractor, batches: Iterable[Tensor], total: int, advance: Advance = lambda n: None
) -> Features:
    """Features [total, D] float32 by layer of the first `total` pictures of `batches`; the pictures are not kept.

    They are regrouped, so that the same pictures give the same bits however they were batched. `advance` is told
    how many more are done. Raises `SimulacraError` if there are fewer than `total`.
    """
    found = {layer: np.empty((total, width), np.float32) for layer, width in extractor.layers.items()}
    done = 0
    for pictures in _regrouped(batches, total, extractor.batch):
        for layer, values in extractor(pictures).items():
            found[layer][done : done + len(pictures)] = values.numpy()
        done += len(pictures)
        advance(len(pictures))
    if done < total:
        raise SimulacraError(f"{total} pictures were to be measured and there are only {done}.")
    return found


def features_of_data(
    extractor: Extractor, data: Dataset, index: NDArray[np.integer] | None = None, advance: Advance = lambda n: None
) -> Features:
    """Features [n, D] float32 by layer of a data set's pictures number `index` (all of them if None), in that order.

    They are kept in the user's cache folder (`cache.folder`), under the hash of the pictures themselves.
    """
    chosen = np.arange(len(data)) if index is None else np.asarray(index)
    path = cache.path_for(
        {
            "pictures": _content(data, chosen),
            "extractor": [extractor.name, extractor.sha256, extractor.backend, extractor.device.type],
            "treatment": TREATMENT,
        }
    )
    found = cache.load(path)
    if found is not None:
        advance(len(chosen))
        return found
    found = features_of(extractor, pictures_of(data, chosen, extractor.batch), len(chosen), advance)
    cache.store(path, found)
    return found


def _content(data: Dataset, index: NDArray[np.integer]) -> str:
    """The sha256 of the chosen pictures: quick beside their features, and true whatever they were cut from."""
    digest = hashlib.sha256(repr((len(index), *data.images.shape[1:])).encode())
    for start in range(0, len(index), 256):
        digest.update(np.ascontiguousarray(data.images[index[start : start + 256]]).data)
    return digest.hexdigest()


def pictures_of(data: Dataset, index: NDArray[np.integer], batch: int) -> Iterator[Tensor]:
    """A data set's pictures number `index` [n, C, H, W] in [-1, 1], `batch` at a time."""
    for start in range(0, len(index), batch):
        packed = torch.from_numpy(np.ascontiguousarray(data.images[index[start : start + batch]]))
        yield packed.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def _regrouped(batches: Iterable[Tensor], total: int, size: int) -> Iterator[Tensor]:
    """The first `total` pictures, `size` at a time."""
    held: Tensor | None = None
    for batch in batches:
        taken = batch[:total]
        total -= len(taken)
        held = taken if held is None or not len(held) else torch.cat([held, taken])
        while len(held) >= size:
            yield held[:size]
            held = held[size:]
        if not total:
            break
    if held is not None and len(held):
        yield held
