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
from numpy.typing import NDArray
from PIL import Image

from simulacra.data.dataset import Dataset, Pair, pair_hash
from simulacra.data.opening import FORMAT
from simulacra.data.prepare import prepare
from simulacra.data.prepare_options import PrepareOptions
from simulacra.errors import SimulacraError
from simulacra.gan import Shape
from simulacra.plugins.checks import SHAPES as SHAPES
from simulacra.plugins.harness import CLASSES, LABELS, advance, build, in_memory, snapshot
from simulacra.plugins.harness import CPU as CPU
from simulacra.plugins.harness import differences as differences
from simulacra.plugins.harness import make_trainer as make_trainer
from simulacra.plugins.harness import noise as noise
from simulacra.registry import find, gans
from simulacra.translator import Translator

KINDS, TOLD = CLASSES, LABELS
play, game, packed, copied = advance, build, in_memory, snapshot
# Processes are forked by a server that has imported what takes seconds; it never has more than one thread.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["torch._dynamo", "simulacra.training.run", "safetensors.torch", "pytest"])


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


def state(run: Path) -> dict[str, Any]:
    """All that a run's last checkpoint holds: the state, and the average's weights as a user loads them."""
    from safetensors.torch import load_file

    from simulacra.storage import checkpoints
    from simulacra.training import checkpoint

    last = checkpoints(run)[-1]
    return checkpoint.load(last, CPU) | {"G.safetensors": load_file(last / "G.safetensors")}
