"""What the checks of a GAN share: tiny datasets in memory, trainers on them, and comparison to the bit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from simulacra.data.dataset import Dataset, Pair, content_hash, pair_hash
from simulacra.data.feed import Feed
from simulacra.gan import GAN, Batch, Shape
from simulacra.registry import configured, find, split_spec
from simulacra.training.trainer import Trainer

CPU = torch.device("cpu")
SHAPE: Shape = (3, 16, 16)
CLASSES = 3
LABELS = "+labels"  # after a spec: its conditional form
TIMELY = frozenset({"seconds", "images_per_second", "memory_mib"})  # journal values that differ between equal runs


def noise(n: int = 40, shape: Shape = SHAPE, seed: int = 0) -> NDArray[np.uint8]:
    """`n` pictures of noise, uint8 [n, H, W, C]."""
    channels, height, width = shape
    return np.random.default_rng(seed).integers(0, 256, (n, height, width, channels), dtype=np.uint8)


def in_memory(images: NDArray[np.uint8], labels: NDArray[Any] | None = None) -> Dataset:
    """Pictures [N, H, W, C] as a dataset in memory, all of it for training."""
    classes = () if labels is None else tuple(str(i) for i in range(int(labels.max()) + 1))
    splits = {"train": len(images), "valid": 0, "test": 0}
    return Dataset("tiny", None, images, labels, classes, (), splits, content_hash(images, labels, classes))


def suitable(gan: type[GAN], images: NDArray[np.uint8]) -> Dataset | Pair:
    """Pictures as a dataset for `gan`: with classes, or as a pair whose second domain holds their negatives."""
    if gan.task != "translate":
        return in_memory(images, np.arange(len(images)) % CLASSES)
    a, b = in_memory(images), in_memory(255 - images[::-1])
    return Pair("tiny", None, a, b, ("a", "b"), pair_hash(a.hash, b.hash))


def tiny(spec: str) -> str:
    """`spec` with its preset for tests, where it names no preset and there is one."""
    return f"{spec}:tiny" if not split_spec(spec)[1] and "tiny" in find(spec).presets else spec


def forms(spec: str) -> list[str]:
    """The spec, and its conditional form where the GAN has one."""
    gan = find(spec)
    conditional = gan.takes_labels and not gan.Config().conditional
    return [spec, f"{spec}{LABELS}"] if conditional else [spec]


def build(spec: str, shape: Shape = SHAPE, **settings: Any) -> GAN:
    """A GAN as the trainer builds it, with weights of a fixed seed. `spec` may end with "+labels"."""
    if spec.endswith(LABELS):
        settings = {"conditional": True} | settings
    gan, config = configured(spec.removesuffix(LABELS), shape, settings, labels=CLASSES)
    torch.manual_seed(0)
    return gan(config)


def effective(spec: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the settings that have an effect on the GAN."""
    gan = build(spec)
    idle = gan.idle_settings(gan.config)
    return {name: value for name, value in settings.items() if name not in idle}


def make_trainer(
    spec: str, folder: Path, data: Dataset | Pair | None = None, *, precision: str = "fp32", micro: int | None = None,
    **settings: Any,
) -> Trainer:  # fmt: skip
    """A trainer on `data`, noise if not given."""
    data = data or suitable(find(spec.removesuffix(LABELS)), noise())
    gan = build(spec, data.shape, **settings)
    feed = Feed(data, CPU, seed=3, mirror=gan.config.mirror)
    feed.attach_labels(gan.G)
    return Trainer(gan, feed, folder, seed=3, precision=precision, micro=micro)


def advance(trainer: Trainer, steps: int) -> Trainer:
    """The trainer after so many more steps."""
    for _ in range(steps):
        trainer.step()
    return trainer


def batch(shape: Shape = SHAPE, n: int = 6) -> Batch:
    """A batch of noise with classes, and with pictures of a second domain."""
    images = torch.rand(n, *shape, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return Batch(images, torch.arange(n) % CLASSES, -images.flip(0))


def snapshot(network: nn.Module) -> dict[str, Tensor]:
    """Copies of a network's parameters and buffers."""
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Places where two nested states differ by a single bit. NaN equals itself; times and memory are left out."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        alike = one.dtype == other.dtype and one.shape == other.shape
        equal = alike and one.contiguous().numpy().tobytes() == other.contiguous().numpy().tobytes()
        return [] if equal else [where]
    if isinstance(one, dict) and isinstance(other, dict):
        missing = [f"{where}/{key}" for key in one.keys() ^ other.keys()]
        shared = (one.keys() & other.keys()) - TIMELY
        return missing + [place for key in shared for place in differences(one[key], other[key], f"{where}/{key}")]
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        missing = [] if len(one) == len(other) else [f"{where}: {len(one)} and {len(other)} entries"]
        pairs = enumerate(zip(one, other, strict=False))
        return missing + [place for i, (a, b) in pairs for place in differences(a, b, f"{where}/{i}")]
    return [] if type(one) is type(other) and one == other else [f"{where}: {one} and {other}"]
