"""What scores are computed from: a model, its pictures' features, and those of the real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simulacra.data.dataset import Dataset
from simulacra.gan import Generator
from simulacra.measure.extractors.features import Extractor, Features
from simulacra.measure.linear_classifier import LinearReader, fit_reader
from simulacra.measure.model_under_test import Advance, ModelUnderTest, fakes_of, reals_of, subsample

READ = 5000  # labelled pictures at most that the reader of classes learns from
TRAINING = 20_000  # pictures of a part that stand for all, at most
AT_ONCE = 64

Begin = Callable[[str, int], Advance]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the scores are computed from; each part is made when it is first asked for."""

    subject: ModelUnderTest
    generator: Generator
    extractor: Extractor
    data: Dataset
    on: str
    seeds: range
    begin: Begin

    @cached_property
    def fakes(self) -> Features:
        """Features of the model's pictures."""
        return fakes_of(self.generator, self.extractor, self.seeds, self.begin("Fakes", len(self.seeds)))

    @cached_property
    def reals(self) -> Features:
        """Features of the pictures compared with."""
        return self.part(self.on, len(self.seeds))

    @cached_property
    def labelled(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Features [N, D] of the training pictures that the reader learns from, and their classes [N]."""
        train = self.data.split("train")
        assert train.labels is not None
        return self.part("train", READ)[self.extractor.kid_layer], train.labels[subsample(len(train), READ)]

    @cached_property
    def reader(self) -> LinearReader:
        """What reads the data's classes from features."""
        return fit_reader(*self.labelled, classes=len(self.data.classes))

    def part(self, name: str, at_most: int) -> Features:
        """Features of a part of the data set."""
        part = self.data.split(name)
        return reals_of(part, self.extractor, at_most, self.begin(f"Reals, {name}", min(len(part), at_most)))

    def pictures(self, name: str, index: NDArray[np.int64] | None = None) -> Iterator[Tensor]:
        """A part's pictures number `index`, or the `TRAINING` that stand for all, in batches."""
        part = self.data.split(name)
        chosen = subsample(len(part), TRAINING) if index is None else index
        for start in range(0, len(chosen), AT_ONCE):
            packed = torch.from_numpy(np.array(part.images[chosen[start : start + AT_ONCE]]))
            yield packed.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)

    def drawn(self, what: str) -> Iterator[Tensor]:
        """The model's pictures, in batches."""
        advance = self.begin(what, len(self.seeds))
        for pictures in self.generator.pictures(self.seeds):
            yield pictures
            advance(len(pictures))
