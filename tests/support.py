"""What the tests of the core share: tiny data sets, trainers on them, and comparison bit for bit."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from simulacra.data.dataset import Dataset, Pair, content_hash, pair_hash
from simulacra.data.feed import Feed
from simulacra.data.opening import FORMAT
from simulacra.data.options import PrepareOptions
from simulacra.data.prepare import prepare
from simulacra.errors import SimulacraError
from simulacra.gan import GAN, Shape
from simulacra.registry import configured, find, gans
from simulacra.training.trainer import Trainer
from simulacra.translator import Translator

CPU = torch.device("cpu")
# Processes are forked by a server that has imported what takes seconds; it never has more than one thread.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["torch._dynamo", "simulacra.training.run", "safetensors.torch", "pytest"])
SHAPES: tuple[Shape, ...] = ((3, 16, 16), (1, 16, 16), (4, 16, 16), (3, 16, 24))


def noise(n: int = 40, shape: Shape = (3, 16, 16), seed: int = 0) -> NDArray[np.uint8]:
    """`n` pictures of noise [n, H, W, C]."""
    channels, height, width = shape
    return np.random.default_rng(seed).integers(0, 256, (n, height, width, channels), dtype=np.uint8)


def packed(images: NDArray[np.uint8], labels: NDArray[Any] | None = None) -> Dataset:
    """Pictures [N, H, W, C] as a data set in memory, all of it for training."""
    classes = () if labels is None else tuple(str(i) for i in range(int(labels.max()) + 1))
    splits = {"train": len(images), "valid": 0, "test": 0}
    return Dataset("tiny", None, images, labels, classes, (), splits, content_hash(images, labels, classes))


def paired(images: NDArray[np.uint8], others: NDArray[np.uint8]) -> Pair:
    """Two domains in memory."""
    a, b = packed(images), packed(others)
    return Pair("pair", None, a, b, ("ones", "others"), pair_hash(a.hash, b.hash))


def suitable(spec: str, images: NDArray[np.uint8]) -> Dataset | Pair:
    """`images` as a data set that a game can play with: with classes, or as a pair whose other domain is their negatives."""
    return paired(images, 255 - images[::-1]) if find(spec.partition(":")[0]).task == "translate" else labelled(images)


def pair_on_disk(folder: Path, images: NDArray[np.uint8], others: NDArray[np.uint8], *, valid: int = 0) -> Path:
    """Two domains as a prepared folder."""
    for letter, each in zip("ab", (images, others), strict=True):
        on_disk(folder / letter, each, valid=valid)
    told = {"what": Pair.WHAT, "format": FORMAT, "name": "pair", "domains": ["ones", "others"]}
    (folder / "data.json").write_text(json.dumps(told | {"hash": paired(images, others).hash}))
    return folder


def labelled(images: NDArray[np.uint8], kinds: int = 3) -> Dataset:
    """The same with `kinds` classes in turn."""
    return packed(images, np.arange(len(images)) % kinds)


def on_disk(folder: Path, images: NDArray[np.uint8], labels: NDArray[Any] | None = None, *, valid: int = 0) -> Path:
    """The same as a prepared folder, the last `valid` of them unseen."""
    made = packed(images, labels)
    folder.mkdir(parents=True)
    np.save(folder / "images.npy", images)
    if labels is not None:
        np.save(folder / "labels.npy", labels)
    told = {"what": Dataset.WHAT, "format": FORMAT, "name": made.name, "shape": list(images.shape)}
    told |= {
        "splits": {"train": len(images) - valid, "valid": valid, "test": 0},
        "hash": made.hash,
        "classes": list(made.classes),
        "attributes": [],
    }
    (folder / "data.json").write_text(json.dumps(told))
    return folder


KINDS = 3  # classes of the tiny data sets
TOLD = "+labels"  # after a game's name: its conditional form


@contextmanager
def refused(code: str, **values: Any) -> Iterator[SimulacraError]:
    """Expect a SimulacraError with this code and at least these values; its sentence must render."""
    caught = SimulacraError(code)
    with pytest.raises(SimulacraError) as raised:
        yield caught
    error = raised.value
    assert error.code == code, str(error)
    assert values.items() <= error.values.items(), error.values
    assert str(error) != code
    caught.values = error.values


def prepared(source: str | Path, out: Path, options: PrepareOptions | None = None, **settings: Any) -> Dataset:
    """`prepare` for a source of one domain."""
    data = prepare(source, out, options, **settings)
    assert isinstance(data, Dataset)
    return data


def game(spec: str, shape: Shape = (3, 16, 16), **settings: Any) -> GAN:
    """A game as the trainer would build it, its weights from a fixed seed: `dcgan:tiny`, `dcgan:tiny+labels`."""
    told = {"conditional": True} if spec.endswith(TOLD) else {}
    gan, config = configured(spec.removesuffix(TOLD), shape, told | settings, labels=KINDS)
    torch.manual_seed(0)
    return gan(config)


def seasons(shape: Shape = (3, 16, 16), **settings: Any) -> Translator:
    """What translates between summer and winter, its weights from a fixed seed."""
    translator = game("cyclegan:tiny", shape, **settings).G.eval().requires_grad_(False)
    assert isinstance(translator, Translator)
    translator.classes = ("summer", "winter")
    return translator


def coloured(width: int = 24, height: int = 20, seed: int = 0) -> Image.Image:
    """A picture of noise."""
    return Image.fromarray(noise(1, (3, height, width), seed)[0])


def forms() -> list[str]:
    """Every game of latents at its tiny preset, and its conditional form where it has one."""
    return [f"{name}:tiny{form}" for name, gan in gans().items() if gan.task == "draw"
            for form in ("", TOLD) if not form or (gan.takes_labels and not gan.Config().conditional)]  # fmt: skip


def translating() -> list[str]:
    """Every game that translates, at its tiny presets."""
    return [f"{name}:{preset}" for name, gan in gans().items() if gan.task == "translate"
            for preset in gan.presets if preset.startswith("tiny")]  # fmt: skip


def make_trainer(
    spec: str,
    folder: Path,
    data: Dataset | Pair | None = None,
    *,
    precision: str = "fp32",
    micro: int | None = None,
    **settings: Any,
) -> Trainer:
    """A trainer on `data` (noise if not given)."""
    data = data or suitable(spec, noise())
    gan = game(spec, data.shape, **settings)
    feed = Feed(data, CPU, seed=3, mirror=gan.config.mirror)
    feed.attach_labels(gan.G)
    return Trainer(gan, feed, folder, seed=3, precision=precision, micro=micro)


def play(trainer: Trainer, times: int) -> Trainer:
    for _ in range(times):
        trainer.step()
    return trainer


def copied(network: torch.nn.Module) -> dict[str, Tensor]:
    """A network's parameters and buffers as they are now."""
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Where two nested states differ by a single bit; NaN equals itself. Times and memory are left out."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        same = one.dtype == other.dtype and one.shape == other.shape
        bits = [t.contiguous().numpy().tobytes() for t in (one, other)] if same else ["", "other"]
        return [] if bits[0] == bits[1] else [where]
    if isinstance(one, dict) and isinstance(other, dict):
        found = [f"{where}/{key}" for key in one.keys() ^ other.keys()]
        timely = {"seconds", "images_per_second", "memory_mib"}
        return found + [
            each
            for key in (one.keys() & other.keys()) - timely
            for each in differences(one[key], other[key], f"{where}/{key}")
        ]
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        found = [] if len(one) == len(other) else [f"{where}: {len(one)} and {len(other)} of them"]
        pairs = enumerate(zip(one, other, strict=False))
        return found + [each for i, (a, b) in pairs for each in differences(a, b, f"{where}/{i}")]
    return [] if type(one) is type(other) and one == other else [f"{where}: {one} and {other}"]


def state(run: Path) -> dict[str, Any]:
    """All that a run's last checkpoint holds: the state, and the average's weights as a user loads them."""
    from safetensors.torch import load_file

    from simulacra.storage import checkpoints
    from simulacra.training import checkpoint

    last = checkpoints(run)[-1]
    return checkpoint.load(last, CPU) | {"G.safetensors": load_file(last / "G.safetensors")}
