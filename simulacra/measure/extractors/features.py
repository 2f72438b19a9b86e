"""Features of pictures from a pretrained network: the input of every score.

Reals and fakes are preprocessed alike. A picture is rounded to 8 bits, as in a saved file; grey is repeated to three
channels, RGBA is laid on white. `efl0d` sees it blurred and with noise (`treatment`). It is then resized to the
network's square, whatever its own shape, by antialiased bicubic interpolation (Parmar et al., "On Aliased Resizing and
Surprising Subtleties in GAN Evaluation", 2022, arXiv:2104.11222); Inception resizes as it did in TensorFlow.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from simulacra import distributed
from simulacra.console import Advance
from simulacra.data.dataset import Dataset
from simulacra.errors import SimulacraError, did_you_mean
from simulacra.measure.extractors import cache, dinov2, efficientnet, inception, onnx_graph, pyramid
from simulacra.measure.extractors.treatment import TREATMENT, treat
from simulacra.measure.extractors.weights import bundled_weights, file_sha256, load_network, user_weights
from simulacra.messages import Message

EXTRACTORS = ("efl0d", "efl0", "inception", "dinov2")
DEFAULT = "efl0d"
SECOND = "pyramid"  # the layer of the second judge, beside those of the network
SECOND_VERSION = 2  # to be increased when its features change, so that cached ones are not used

Backend = Literal["torch", "onnxruntime"]
Features = dict[str, NDArray[np.float32]]  # [N, D] by layer


@dataclass(frozen=True, kw_only=True, eq=False)
class Extractor:
    """A network that turns pictures into features, with everything that identifies those features."""

    name: str
    sha256: str  # of the weight file
    backend: Backend
    layers: Mapping[str, int]  # name -> dimensions
    fd_layer: str
    kid_layer: str
    neighbour_layer: str
    side: int | None  # pictures are resized to this square; None: the network resizes them, and takes 8 bits only
    device: torch.device
    # [N, 3, H, W] float32 in 0..255 -> [N, D] for each layer
    network: Callable[[Tensor], tuple[Tensor, ...]] = field(repr=False)
    treated: bool = False  # whether pictures are blurred and get noise first
    second: bool = True  # whether features of the second judge come with those of the network

    @property
    def widths(self) -> dict[str, int]:
        """Dimensions of every layer, that of the second judge among them."""
        return {**self.layers, SECOND: pyramid.WIDTH} if self.second else dict(self.layers)

    @property
    def treatment(self) -> int:
        """Version of what is done to pictures first."""
        return TREATMENT if self.treated else 1

    @property
    def untreated(self) -> Extractor:
        """The same network on pictures as they are, without the second judge."""
        return replace(
            self, name=self.name.removesuffix("d") if self.treated else self.name, treated=False, second=False
        )

    @property
    def batch(self) -> int:
        """The fastest number of pictures at a time."""
        return 16 if self.device.type == "cpu" else 128

    @torch.no_grad()
    def __call__(self, pictures: Tensor, *, rounded: bool = True) -> dict[str, Tensor]:
        """Pictures [N, C, H, W] in [-1, 1] -> features [N, D] float32 on the CPU, by layer.

        `rounded=False` leaves out the rounding to 8 bits and the treatment, for differences smaller than that. Raises
        `SimulacraError` for another number of channels, and for `rounded=False` where the network takes 8 bits only.
        """
        if not rounded and self.side is None:
            raise SimulacraError("measure.extractor_rounds", name=self.name)
        x = preprocess(pictures.to(self.device), rounded=rounded)
        treated = treat(x) if rounded and (self.treated or self.second) else x
        x = treated if self.treated else x
        if self.side is not None:
            # faster on a CPU from a contiguous picture than from channels last, the order of datasets
            x = F.interpolate(x.contiguous(), (self.side, self.side), mode="bicubic", antialias=True)
        # TF32 would make a GPU's features differ from a CPU's in the third figure
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            features = dict(zip(self.layers, self.network(x), strict=True))
            if self.second:
                features[SECOND] = pyramid.pyramid_features(treated)
        return {layer: values.float().cpu() for layer, values in features.items()}


def preprocess(pictures: Tensor, *, rounded: bool = True) -> Tensor:
    """Pictures [N, 1 | 3 | 4, H, W] in [-1, 1] -> [N, 3, H, W] in 0..255: rounded, RGB, alpha laid on white."""
    if pictures.ndim != 4 or pictures.shape[1] not in (1, 3, 4):
        raise SimulacraError("measure.picture_shape", shape=str(tuple(pictures.shape)))
    pixels = (pictures.float() * 127.5 + 127.5).clamp_(0, 255)
    if rounded:
        pixels.round_()
    if pixels.shape[1] == 4:
        pixels = 255 + (pixels[:, :3] - 255) * (pixels[:, 3:] / 255)
        pixels = pixels.round_() if rounded else pixels
    return pixels.expand(-1, 3, -1, -1)


def open_extractor(
    name: str = DEFAULT,
    *,
    device: str | torch.device = "cpu",
    weights: str | Path | None = None,
    sha256: str | None = None,
    backend: Literal["auto", "torch", "onnxruntime"] = "auto",
) -> Extractor:
    """The extractor called `name`, from a weight file.

    efl0d: EfficientNet-lite0, with weights from a package, on treated pictures. efl0: on pictures as they are.
    inception, dinov2: `weights` is a file that the user has. sha256: the expected checksum of the file. backend: ONNX
    Runtime runs efl0d and efl0 on a CPU, by default where it is installed. device: an
    Apple GPU ("mps") is replaced by the CPU, because it may lack operations.

    Raises `SimulacraError` for an unknown name, for weights that are missing, changed or of another network, and for a
    missing backend or package.
    """
    if name not in EXTRACTORS:
        hint = did_you_mean(name, EXTRACTORS) or Message("measure.extractor_choices", names=EXTRACTORS)
        raise SimulacraError("measure.unknown_extractor", name=name, hint=hint)
    weights = None if weights is None else Path(weights).expanduser()
    path = bundled_weights(weights) if name in ("efl0d", "efl0") else user_weights(name, weights)
    digest = file_sha256(path)
    if sha256 is not None and sha256.lower() != digest:
        raise SimulacraError("measure.weights_checksum", path=path, digest=digest, expected=sha256)
    place = torch.device("cpu" if torch.device(device).type == "mps" else device)
    fields = {"inception": _inception, "dinov2": _dinov2}.get(name, _efl0)(path, place, backend)
    return Extractor(name=name, sha256=digest, device=place, treated=name == "efl0d", **fields)


def _efl0(path: Path, device: torch.device, backend: str) -> dict[str, Any]:
    network = load_network(path, "efl0", efficientnet.from_state)
    fields: dict[str, Any] = {"layers": efficientnet.LAYERS, "side": efficientnet.SIDE}
    fields |= {"fd_layer": "112", "kid_layer": "1280", "neighbour_layer": "112"}
    if backend != "torch" and device.type == "cpu":
        try:
            return fields | {"backend": "onnxruntime", "network": onnx_graph.runner(network)}
        except ImportError as error:
            if backend == "onnxruntime":
                raise SimulacraError("measure.onnx_not_installed", reason=error) from error
    if backend == "onnxruntime":
        raise SimulacraError("measure.onnx_on_cpu", device=device)
    last = torch.channels_last
    network = network.to(device, memory_format=last)  # type: ignore[call-overload]
    return fields | {"backend": "torch", "network": lambda x: network(x.contiguous(memory_format=last))}


def _inception(path: Path, device: torch.device, backend: str) -> dict[str, Any]:
    _check_torch("inception", backend)
    return _one_layer(load_network(path, "inception", inception.Inception).to(device), 2048, None)


def _dinov2(path: Path, device: torch.device, backend: str) -> dict[str, Any]:
    _check_torch("dinov2", backend)
    network = load_network(path, "dinov2", dinov2.from_state).to(device)
    return _one_layer(network, network.pos_embed.shape[2], dinov2.SIDE)


def _check_torch(name: str, backend: str) -> None:
    if backend == "onnxruntime":
        raise SimulacraError("measure.onnx_for_efl0", name=name)


def _one_layer(network: Callable[[Tensor], tuple[Tensor, ...]], width: int, side: int | None) -> dict[str, Any]:
    layer = str(width)
    fields = {"layers": {layer: width}, "fd_layer": layer, "kid_layer": layer, "neighbour_layer": layer}
    return fields | {"backend": "torch", "side": side, "network": network}


def features_of(
    extractor: Extractor, batches: Iterable[Tensor], total: int, advance: Advance = lambda n: None
) -> Features:
    """Features [total, D] float32 by layer of the first `total` pictures of `batches`; the pictures are not kept.

    Batches are regrouped, so that the same pictures give the same bits however they came. `advance` is called with the
    number of pictures just done. Raises `SimulacraError` for fewer than `total` pictures.
    """
    features = {layer: np.empty((total, width), np.float32) for layer, width in extractor.widths.items()}
    done = 0
    for pictures in _regrouped(batches, total, extractor.batch):
        for layer, values in extractor(pictures).items():
            features[layer][done : done + len(pictures)] = values.numpy()
        done += len(pictures)
        advance(len(pictures))
    if done < total:
        raise SimulacraError("measure.pictures_missing", total=total, number=done)
    return features


def shared_features(
    extractor: Extractor,
    batches: Callable[[int, int], Iterable[Tensor]],
    total: int,
    batch: int,
    advance: Advance = lambda n: None,
) -> Features:
    """Features of `total` pictures, of which each process computes a part; equal to those of one process to the bit.

    batches: pictures from one number up to another, `batch` at a time.
    """
    start, stop = distributed.share(total, math.lcm(batch, extractor.batch))
    own = features_of(
        extractor, batches(start, stop), stop - start, distributed.progress_of_all(advance, stop - start, total)
    )
    if distributed.world() == 1:
        return own
    return {layer: np.concatenate(list(distributed.rows_of_all(rows))) for layer, rows in own.items()}


def features_of_data(
    extractor: Extractor, data: Dataset, index: NDArray[np.integer] | None = None, advance: Advance = lambda n: None
) -> Features:
    """Features [n, D] float32 by layer of the pictures `index` of a dataset (None: all), in that order.

    They are cached on disk (`cache.folder`), by the hash of the pictures' own bytes.
    """
    rows = np.arange(len(data)) if index is None else np.asarray(index)
    path = cache.path_for(
        {
            "pictures": _content(data, rows),
            "extractor": [extractor.name, extractor.sha256, extractor.backend, extractor.device.type],
            "treatment": extractor.treatment,
            "second": [SECOND_VERSION, TREATMENT] if extractor.second else None,
        }
    )
    features = cache.load(path)
    (missing,) = distributed.agree(features is None)
    if features is not None and not missing:
        advance(len(rows))
        return features

    def batches(start: int, stop: int) -> Iterator[Tensor]:
        return pictures_of(data, rows[start:stop], extractor.batch)

    features = shared_features(extractor, batches, len(rows), extractor.batch, advance)
    cache.store(path, features)
    return features


def _content(data: Dataset, index: NDArray[np.integer]) -> str:
    """The sha256 of the chosen pictures: fast compared with features, and the same for a view and a copy."""
    digest = hashlib.sha256(repr((len(index), *data.images.shape[1:])).encode())
    for start in range(0, len(index), 256):
        digest.update(np.ascontiguousarray(data.images[index[start : start + 256]]).data)
    return digest.hexdigest()


def pictures_of(data: Dataset, index: NDArray[np.integer], batch: int) -> Iterator[Tensor]:
    """Batches [n, C, H, W] in [-1, 1] of the pictures `index` of a dataset, `batch` at a time."""
    for start in range(0, len(index), batch):
        packed = torch.from_numpy(np.ascontiguousarray(data.images[index[start : start + batch]]))
        yield packed.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def _regrouped(batches: Iterable[Tensor], total: int, size: int) -> Iterator[Tensor]:
    """The first `total` pictures, `size` at a time."""
    rest: Tensor | None = None
    for batch in batches:
        pictures = batch[:total]
        total -= len(pictures)
        rest = pictures if rest is None or not len(rest) else torch.cat([rest, pictures])
        while len(rest) >= size:
            yield rest[:size]
            rest = rest[size:]
        if not total:
            break
    if rest is not None and len(rest):
        yield rest
