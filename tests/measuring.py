"""What the tests of scores share: an extractor that costs nothing, and planted translators with runs and pairs for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from support import pair_on_disk
from torch import Tensor, nn
from torch.nn import functional as F

from simulacra import storage
from simulacra.config import to_json
from simulacra.data.opening import open_pair
from simulacra.measure.extractors.features import Extractor
from simulacra.registry import configured
from simulacra.training.run_records import FORMAT
from simulacra.translator import Translator


def look(pictures: Tensor) -> tuple[Tensor, ...]:
    """Coarse pixels: enough to tell grey from noise, at no cost."""
    small = F.adaptive_avg_pool2d(pictures, 4).flatten(1) / 64
    return small, small


def stand_in(*_: Any, **__: Any) -> Extractor:
    """An extractor with the manners of a real one."""
    return Extractor(
        name="coarse",
        sha256="0" * 64,
        backend="torch",
        layers={"48": 48, "same": 48},
        fd_layer="48",
        kid_layer="same",
        neighbour_layer="48",
        side=16,
        device=torch.device("cpu"),
        network=look,
    )


def blobs(n: int = 120, seed: int = 0) -> np.ndarray:
    """Pictures of four flat quarters [n, 16, 16, 3]: few classes, and a tiny GAN soon draws some of them."""
    corners = np.random.default_rng(seed).integers(0, 4, (n, 2, 2, 3)) * 80
    return np.kron(corners, np.ones((1, 8, 8, 1))).astype(np.uint8)


def pair_folder(
    folder: Path,
    a: NDArray[np.uint8],
    b: NDArray[np.uint8],
    *,
    names: tuple[Sequence[str], Sequence[str]] | None = None,
    valid: int = 0,
    test: int = 0,
) -> Path:
    """A prepared pair, the last `test` pictures of each domain for tests and the `valid` before for validation."""
    pair_on_disk(folder, a, b)
    for letter, images in zip("ab", (a, b), strict=True):
        path = folder / letter / "data.json"
        splits = {"train": len(images) - valid - test, "valid": valid, "test": test}
        path.write_text(json.dumps(json.loads(path.read_text()) | {"splits": splits}))
        if names is not None:
            (folder / letter / "names.json").write_text(json.dumps(list(names["ab".index(letter)])))
    return folder


class Planted(Translator):
    """A translator whose two ways are given as functions of pictures [N, C, H, W] in [-1, 1]."""

    def __init__(self, to_b: Callable[[Tensor], Tensor], to_a: Callable[[Tensor], Tensor]) -> None:
        super().__init__(configured("cyclegan:tiny", (3, 16, 16), {})[1])
        for side, way in (("b", to_b), ("a", to_a)):
            self.into[side] = Way(way)

    @property
    def device(self) -> torch.device:
        """It has no weights to be asked for theirs."""
        return torch.device("cpu")


class Way(nn.Module):
    """A function as a network."""

    def __init__(self, way: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        return self.way(x)


def flat(colours: tuple[float, float], data: Path, folder: Path, nimg: int) -> None:
    """A checkpoint of a CycleGAN that makes of every picture one of a single brightness: of b's, of a's, in [-1, 1]."""
    gan, config = configured("cyclegan:tiny", open_pair(data).shape, {})
    generator = gan.generator(config)
    for side, colour in zip("ba", colours, strict=True):
        for parameter in generator.get_submodule(f"into.{side}").parameters():
            torch.nn.init.zeros_(parameter)
        torch.nn.init.constant_(
            list(generator.get_submodule(f"into.{side}").parameters())[-1], float(np.arctanh(colour))
        )
    generator.classes = open_pair(data).domains
    about: dict[str, Any] = {"nimg": nimg, "data": "pair", "data_hash": open_pair(data).hash}
    storage.save_model(generator, folder, gan="cyclegan", config=config, about=about)


def run_of(folder: Path, data: Path, colours: Sequence[tuple[float, float]]) -> Path:
    """A run with such checkpoints at 100, 200 and so on images."""
    for i, colour in enumerate(colours, 1):
        place = folder / "checkpoints" / f"{100 * i:09d}"
        place.mkdir(parents=True)
        flat(colour, data, place, 100 * i)
    data_set, (_, config) = open_pair(data), configured("cyclegan:tiny", open_pair(data).shape, {})
    record: dict[str, Any] = {
        "name": data_set.name,
        "source": str(data),
        "hash": data_set.hash,
        "shape": list(data_set.shape),
    }
    record |= {"pictures": len(data_set.a.split("train"))}
    config_json = {
        "format": FORMAT,
        "spec": "cyclegan:tiny",
        "gan": "cyclegan",
        "config": to_json(config),
        "data": record,
    }
    (folder / "config.json").write_text(json.dumps(config_json | {"seed": 0, "length": {}, "versions": {}}))
    return folder
