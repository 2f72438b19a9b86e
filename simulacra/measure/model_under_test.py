"""The model under test with its run and its dataset, and the features of fakes and reals."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from simulacra.console import Advance
from simulacra.data.dataset import Dataset, Pair
from simulacra.data.opening import open_dataset
from simulacra.data.stores import is_address
from simulacra.errors import SimulacraError
from simulacra.files import read_json
from simulacra.generator import Generator
from simulacra.measure.extractors.features import Extractor, Features, features_of_data, shared_features
from simulacra.messages import text
from simulacra.model import Model, Task
from simulacra.registry import find_stored
from simulacra.storage import fingerprint, load, model_folder, task_of

FIRST_SEED = 1_000_000  # reported scores use seeds from here on; the choice of a checkpoint uses those from 0
BATCH = 32


@dataclass(frozen=True, kw_only=True)
class ModelUnderTest:
    """A stored model to be scored."""

    folder: Path  # of the model
    run: Path | None  # the run that the model is a checkpoint of
    hash: str
    config: dict[str, Any]  # the model's config.json

    @property
    def name(self) -> str:
        """For people: the run's name with the checkpoint's, or the folder's."""
        if self.run is None:
            return self.folder.name
        return text("measure.checkpoint_name", run=self.run.name, nimg=int(self.folder.name))

    @property
    def task(self) -> Task:
        """`draw` for a generator of pictures from seeds, `translate` for a translator."""
        return task_of(self.config)

    def taught_by(self, extractor: Extractor) -> bool:
        """Whether the model's losses looked through the extractor's network; False for a GAN that is not here."""
        with contextlib.suppress(SimulacraError):
            return extractor.name.removesuffix("d") in find_stored(self.config, trusted=False).looks_through
        return False

    def load(self, device: str | torch.device = "cpu") -> Model:
        """The model."""
        return load(self.folder, device)

    def dataset(self, source: str | Path | None = None) -> Dataset | Pair:
        """The whole dataset at `source`, or the one the model was trained on.

        Raises `SimulacraError` if it is missing, of another task, or of another picture shape.
        """
        if source is None:
            source = read_json(self.run / "config.json")["data"]["source"] if self.run else self.config.get("data")
            if source is None or (source != "peeps" and not is_address(source) and not Path(source).exists()):
                raise SimulacraError("measure.data_missing", model=self.folder, source=source)
        data = open_dataset(source)
        if self.task == "translate" and not isinstance(data, Pair):
            raise SimulacraError("measure.data_not_pair", data=data.path or data.name, model=self.folder)
        if self.task != "translate" and isinstance(data, Pair):
            raise SimulacraError("measure.data_is_pair", data=data.path, model=self.folder)
        shape = tuple(self.config["config"]["shape"])
        if data.shape != shape:
            raise SimulacraError(
                "measure.data_shape",
                data=data.path or data.name,
                given=_size(data.shape),
                model=self.folder,
                needed=_size(shape),
                size=f"{shape[2]}x{shape[1]}",
            )
        return data


def model_under_test(where: str | Path | None) -> ModelUnderTest:
    """The model at `where`: a run (its best checkpoint, else its last), a checkpoint, a model folder, or `peeps`."""
    folder = model_folder(where)
    run = folder.parent.parent
    of_run = folder.parent.name == "checkpoints" and (run / "config.json").is_file()
    return ModelUnderTest(
        folder=folder,
        run=run if of_run else None,
        hash=fingerprint(folder),
        config=read_json(folder / "config.json"),
    )


def subsample(n: int, at_most: int, skip: int = 0) -> NDArray[np.int64]:
    """Indices of a fixed random subsample of at most `at_most` of `n`, sorted; disjoint from that of the first `skip`."""
    return np.sort(np.random.default_rng(0).permutation(n)[skip : skip + at_most])


def identity(extractor: Extractor) -> dict[str, str]:
    """What decides an extractor's features, as JSON."""
    record = {"name": extractor.name, "sha256": extractor.sha256, "backend": extractor.backend}
    return record | {"treatment": str(extractor.treatment)}


def fakes_of(generator: Generator, extractor: Extractor, seeds: Sequence[int], advance: Advance) -> Features:
    """Features of the pictures that a generator draws from `seeds`."""
    return shared_features(
        extractor, lambda start, stop: generator.pictures(seeds[start:stop], batch=BATCH), len(seeds), BATCH, advance
    )


def reals_of(data: Dataset, extractor: Extractor, at_most: int, advance: Advance) -> Features:
    """Features of a dataset's pictures, a subsample of at most `at_most`; cached on disk."""
    return features_of_data(extractor, data, subsample(len(data), at_most), advance)


def _size(shape: Sequence[int]) -> str:
    names = {1: "grey", 3: "RGB", 4: "RGBA"}
    return f"{shape[2]}x{shape[1]} {names.get(shape[0], f'{shape[0]} channels')}"
