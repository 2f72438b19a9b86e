"""Helpers of many tests: tiny datasets on disk and in memory, and expected errors. Trainers come from `plugins.harness`."""

from __future__ import annotations

import itertools
import json
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
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
from simulacra.plugins import harness
from simulacra.plugins.checks import SHAPES as SHAPES
from simulacra.plugins.harness import CLASSES as CLASSES
from simulacra.plugins.harness import CPU as CPU
from simulacra.plugins.harness import LABELS as LABELS
from simulacra.plugins.harness import advance as advance
from simulacra.plugins.harness import build as build
from simulacra.plugins.harness import differences as differences
from simulacra.plugins.harness import in_memory as in_memory
from simulacra.plugins.harness import make_trainer as make_trainer
from simulacra.plugins.harness import noise as noise
from simulacra.plugins.harness import snapshot as snapshot
from simulacra.registry import gans
from simulacra.translator import Translator

ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))

Cli = Callable[..., tuple[int, str, str]]  # words of a command to its exit status, stdout and stderr


def paired(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> Pair:
    """A pair in memory."""
    domains = in_memory(a), in_memory(b)
    return Pair("pair", None, *domains, ("ones", "others"), pair_hash(*(domain.hash for domain in domains)))


def pair_on_disk(folder: Path, a: NDArray[np.uint8], b: NDArray[np.uint8], *, valid: int = 0) -> Path:
    """A pair as a prepared folder."""
    for letter, pictures in zip("ab", (a, b), strict=True):
        on_disk(folder / letter, pictures, valid=valid)
    record = {"what": Pair.WHAT, "format": FORMAT, "name": "pair", "domains": ["ones", "others"]}
    (folder / "data.json").write_text(json.dumps(record | {"hash": paired(a, b).hash}))
    return folder


def labelled(images: NDArray[np.uint8], classes: int = CLASSES) -> Dataset:
    """A dataset in memory whose pictures have the classes in turn."""
    return in_memory(images, np.arange(len(images)) % classes)


def on_disk(folder: Path, images: NDArray[np.uint8], labels: NDArray[Any] | None = None, *, valid: int = 0) -> Path:
    """A dataset as a prepared folder; the last `valid` pictures are its valid split."""
    dataset = in_memory(images, labels)
    folder.mkdir(parents=True)
    np.save(folder / "images.npy", images)
    if labels is not None:
        np.save(folder / "labels.npy", labels)
    record = {"what": Dataset.WHAT, "format": FORMAT, "name": dataset.name, "shape": list(images.shape)}
    record |= {
        "splits": {"train": len(images) - valid, "valid": valid, "test": 0},
        "hash": dataset.hash,
        "classes": list(dataset.classes),
        "attributes": [],
    }
    (folder / "data.json").write_text(json.dumps(record))
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
    """A translator between summer and winter, with weights of a fixed seed."""
    translator = build("cyclegan:tiny", shape, **settings).G.eval().requires_grad_(False)
    assert isinstance(translator, Translator)
    translator.classes = ("summer", "winter")
    return translator


def coloured(width: int = 24, height: int = 20, seed: int = 0) -> Image.Image:
    """A picture of noise."""
    return Image.fromarray(noise(1, (3, height, width), seed)[0])


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header promises far more than its few bytes hold."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")


def colour_profile(primaries: Sequence[Sequence[float]] = ADOBE_RGB, gamma: float = 563 / 256) -> bytes:
    """An ICC profile of RGB pictures. primaries: XYZ of red, green and blue under D50."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    tags = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(_xyz, primaries), strict=True))
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return _icc(b"mntrRGB XYZ ", tags)


def ink_profile(lab: Callable[[int, int, int, int], tuple[float, float, float]]) -> bytes:
    """An ICC profile of CMYK pictures. lab: L, a, b under D50 of each ink printed wholly (1) or not (0); between them straight."""
    corners = [lab(*inks) for inks in itertools.product((0, 1), repeat=4)]
    grid = bytes(round(value) for L, a, b in corners for value in (L * 2.55, a + 128, b + 128))
    same = bytes(range(256))
    unit = struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    return _icc(b"prtrCMYKLab ", {b"A2B0": b"mft1\0\0\0\0\4\3\2\0" + unit + 4 * same + grid + 3 * same})


def _xyz(values: Sequence[float]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def _icc(kind: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile. kind: its class, its colour space and that of its connection, four letters each."""
    title = b"desc\0\0\0\0" + struct.pack(">I", 2) + b"x\0" + bytes(78)
    text = b"text\0\0\0\0x\0" + bytes(2)
    tags = {b"desc": title, b"cprt": text, b"wtpt": _xyz((0.9642, 1.0, 0.8249))} | tags
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = bytes(8) + struct.pack(">I", 0x02400000) + kind + bytes(12) + b"acsp" + bytes(28)
    head += struct.pack(">3i", 63190, 65536, 54061) + bytes(48)
    return struct.pack(">I", start + len(body)) + head[4:] + struct.pack(">I", len(tags)) + table + body


def forms() -> list[str]:
    """Every GAN that draws, at its tiny preset, and its conditional form where it has one."""
    return [form for name, gan in gans().items() if gan.task == "draw" for form in harness.forms(f"{name}:tiny")]


def translating() -> list[str]:
    """Every GAN that translates or enlarges pictures, at its tiny presets."""
    return [f"{name}:{preset}" for name, gan in gans().items() if gan.task != "draw"
            for preset in gan.presets if preset.startswith("tiny")]  # fmt: skip


def state(run: Path) -> dict[str, Any]:
    """Contents of a run's last checkpoint: the state, and the average's weights as a user loads them."""
    from safetensors.torch import load_file

    from simulacra.storage import checkpoints
    from simulacra.training import checkpoint

    last = checkpoints(run)[-1]
    return checkpoint.load(last, CPU) | {"G.safetensors": load_file(last / "G.safetensors")}
