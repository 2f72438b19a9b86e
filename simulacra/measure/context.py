"""What metrics are computed from. A context belongs to one model and one dataset, and computes each part when needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simulacra.console import Begin
from simulacra.data.dataset import Dataset
from simulacra.generator import Generator
from simulacra.measure import scores
from simulacra.measure.extractors.features import Extractor, Features, pictures_of
from simulacra.measure.linear_classifier import FEWEST_LABELLED, LinearClassifier, fit_classifier
from simulacra.measure.metrics import Metric
from simulacra.measure.model_under_test import fakes_of, reals_of, subsample
from simulacra.measure.scores import ResampledScore, Score, as_score
from simulacra.messages import text

LABELLED = 5000  # labelled pictures at most that a classifier is fitted to
PIXELS = 20_000  # pictures of a part at most, for metrics on pixels
BATCH = 64

Outcome = tuple[Mapping[str, Score | ResampledScore], dict[str, Any]]  # scores by name; further certificate entries


class EvaluationContext(Protocol):
    """What `certificate` needs of a task: the scores of one model on one dataset."""

    @property
    def extractor(self) -> Extractor:
        """The extractor of features."""
        ...

    def scores(self, metrics: Sequence[Metric]) -> tuple[dict[str, Score], dict[str, Any]]:
        """Scores by name, and the certificate's other entries: at least data, n, leads and warnings."""
        ...


@dataclass(frozen=True, kw_only=True)
class DrawContext:
    """A generator that draws pictures from seeds, with the real pictures it is compared with."""

    generator: Generator
    extractor: Extractor
    data: Dataset
    on: str  # the part of the data compared with
    seeds: range
    begin: Begin
    mirrored: bool = False  # whether training mirrored its pictures
    taught: bool = False  # whether the model's losses looked through the extractor's network

    @cached_property
    def fakes(self) -> Features:
        """Features of the model's pictures."""
        return fakes_of(
            self.generator, self.extractor, self.seeds, self.begin(text("measure.progress_fakes"), len(self.seeds))
        )

    @cached_property
    def reals(self) -> Features:
        """Features of the real pictures compared with."""
        return self.part(self.on, len(self.seeds))

    @cached_property
    def labelled(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Features [N, D] and classes [N] of the training pictures that a classifier is fitted to."""
        train = self.data.split("train")
        assert train.labels is not None
        rows = subsample(len(train), LABELLED)
        return self.part("train", LABELLED)[self.extractor.kid_layer], train.labels[rows]

    @cached_property
    def classifiable(self) -> bool:
        """Whether the training pictures suffice for a classifier of the data's labels."""
        train = self.data.split("train")
        return len(train) >= FEWEST_LABELLED and train.labels is not None and len(np.unique(train.labels)) > 1

    @cached_property
    def classifier(self) -> LinearClassifier:
        """A classifier of the data's classes."""
        return fit_classifier(*self.labelled, classes=len(self.data.classes))

    def part(self, name: str, at_most: int) -> Features:
        """Features of a part of the data."""
        part = self.data.split(name)
        title = text("measure.progress_reals", part=name)
        return reals_of(part, self.extractor, at_most, self.begin(title, min(len(part), at_most)))

    def pictures(self, name: str, index: NDArray[np.int64] | None = None) -> Iterator[Tensor]:
        """Batches [n, C, H, W] of a part's pictures `index`; None: of a subsample of `PIXELS`."""
        part = self.data.split(name)
        return pictures_of(part, subsample(len(part), PIXELS) if index is None else index, BATCH)

    def drawn_pictures(self, title: str, like: Sequence[tuple[str, int]] | None = None) -> Iterator[Tensor]:
        """Batches [n, C, H, W] of the model's pictures, with progress.

        like: pictures (part, row) whose labels the first seeds get, one each; None: all seeds, with labels of their own.
        """
        seeds = self.seeds if like is None else self.seeds[: len(like)]
        advance = self.begin(title, len(seeds))
        for pictures in self.generator.pictures(seeds, y=None if like is None else labels_of(self.data, like)):
            yield pictures
            advance(len(pictures))

    def scores(self, metrics: Sequence[Metric]) -> tuple[dict[str, Score], dict[str, Any]]:
        """Scores by name, and the certificate's other entries."""
        extractor, seeds = self.extractor, self.seeds
        values: dict[str, Score] = {}
        of_features = [metric for metric in metrics if metric.score is not None]
        if of_features:
            floors = scores.floors_of(extractor, self.reals, of_features)
            measured = scores.score_features(extractor, self.reals, self.fakes, of_features, floors)
            values |= {name: score.score() for name, score in measured.items()}
        others, entries = computed(self, metrics)
        values |= {name: as_score(score) for name, score in others.items()}
        n_real = min(len(self.data.split(self.on)), len(seeds))
        data: dict[str, Any] = {"name": self.data.name, "hash": self.data.hash, "on": self.on, "pictures": n_real}
        leads = scores.score_name(scores.judges("draw", self.taught)[0], extractor)
        entries = {"warnings": []} | entries
        return values, {
            "data": data | {"size": list(self.data.shape)},
            "n": len(seeds),
            "seeds": f"{seeds[0]}-{seeds[-1]}",
            "leads": leads,
        } | entries


def labels_of(data: Dataset, places: Sequence[tuple[str, int]]) -> Tensor:
    """Labels [N] or [N, A] of pictures (part, row) of labelled data."""
    parts = {part: data.split(part).labels for part in {part for part, _ in places}}
    return torch.from_numpy(np.stack([np.asarray(parts[part])[row] for part, row in places]))


def computed(context: Any, metrics: Iterable[Metric]) -> Outcome:
    """The outcome of all metrics that compute from a context; those that share a function share its call."""
    values: dict[str, Score | ResampledScore] = {}
    entries: dict[str, Any] = {}
    for compute in dict.fromkeys(metric.compute for metric in metrics):
        if compute is not None:
            outcome, more = compute(context)
            values |= outcome
            more["warnings"] = [*entries.get("warnings", []), *more.get("warnings", [])]
            entries |= more
    return values, entries
