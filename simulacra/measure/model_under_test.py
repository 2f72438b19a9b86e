"""What is being measured: a model with its run and its pictures, and the features of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from simulacra.data.dataset import Dataset, Pair
from simulacra.data.opening import open_dataset
from simulacra.errors import SimulacraError
from simulacra.files import read_json
from simulacra.generator import Generator
from simulacra.measure.extractors.features import Extractor, Features, features_of, features_of_data
from simulacra.model import Model
from simulacra.storage import fingerprint, load, model_folder, task_of

CHOSEN = 1_000_000  # reported scores are of seeds from here on; a run's best is chosen by those from 0
AT_ONCE = 32  # pictures drawn at a time

Advance = Callable[[int], object]


@dataclass(frozen=True, kw_only=True)
class ModelUnderTest:
    """A model to be measured."""

    folder: Path  # of the model
    run: Path | None  # the run it is a checkpoint of
    hash: str
    about: dict[str, Any]  # the model's config.json

    @property
    def name(self) -> str:
        """How a reader knows it: the run's name and the checkpoint's, or the folder's."""
        return f"{self.run.name} at {int(self.folder.name)} images" if self.run else self.folder.name

    @property
    def translates(self) -> bool:
        """Whether it makes pictures of pictures, not of seeds."""
        return task_of(self.about) == "translate"

    def load(self, device: str | torch.device = "cpu") -> Model:
        """The model."""
        return load(self.folder, device)

    def dataset(self, source: str | Path | None = None) -> Dataset | Pair:
        """The whole data set it was trained on, or that of `source`. Raises `SimulacraError` if it is not there."""
        if source is None:
            stored = read_json(self.run / "config.json")["data"]["source"] if self.run else self.about.get("data")
            if stored is None or (stored != "peeps" and not Path(stored).exists()):
                raise SimulacraError(
                    f"The pictures that {self.folder} was trained on are not known or not there ({stored}): name them with --data."
                )
            source = stored
        data = open_dataset(source)
        if self.translates and not isinstance(data, Pair):
            raise SimulacraError(
                f"{data.path or data.name} is one domain and {self.folder} translates between two: name a pair with --data."
            )
        if isinstance(data, Pair) and not self.translates:
            raise SimulacraError(
                f"{data.path} is a pair of domains and {self.folder} draws pictures of one: name {data.path}/a or "
                f"{data.path}/b with --data."
            )
        shape = tuple(self.about["config"]["shape"])
        if data.shape != shape:
            raise SimulacraError(
                f"{data.path or data.name} holds pictures of {_size(data.shape)} and {self.folder} makes {_size(shape)}: "
                f"prepare them with --size {shape[2]}x{shape[1]} and the same --channels, and name them with --data."
            )
        return data


def model_under_test(where: str | Path | None) -> ModelUnderTest:
    """The model meant by `where`: a run (its best checkpoint, else its last), a checkpoint, a model folder or `peeps`."""
    folder = model_folder(where)
    run = folder.parent.parent
    belongs = folder.parent.name == "checkpoints" and (run / "config.json").is_file()
    return ModelUnderTest(
        folder=folder,
        run=run if belongs else None,
        hash=fingerprint(folder),
        about=read_json(folder / "config.json"),
    )


def subsample(n: int, at_most: int, skip: int = 0) -> NDArray[np.int64]:
    """Indices of a fixed random subsample of at most `at_most` of `n`, sorted; disjoint from that of the first `skip`."""
    return np.sort(np.random.default_rng(0).permutation(n)[skip : skip + at_most])


def identity(extractor: Extractor) -> dict[str, str]:
    """What decides an extractor's features."""
    return {"name": extractor.name, "sha256": extractor.sha256, "backend": extractor.backend}


def fakes_of(generator: Generator, extractor: Extractor, seeds: Sequence[int], advance: Advance) -> Features:
    """Features of the pictures that `seeds` name."""
    return features_of(extractor, generator.pictures(seeds, batch=AT_ONCE), len(seeds), advance)


def reals_of(data: Dataset, extractor: Extractor, at_most: int, advance: Advance) -> Features:
    """Features of a data set's pictures, or of the `at_most` that stand for all; kept for the next time."""
    index = subsample(len(data), at_most)
    return features_of_data(extractor, data, index, advance)


def _size(shape: Sequence[int]) -> str:
    kind = {1: "grey", 3: "RGB", 4: "RGBA"}.get(shape[0], f"{shape[0]} channels")
    return f"{shape[2]}x{shape[1]} {kind}"
