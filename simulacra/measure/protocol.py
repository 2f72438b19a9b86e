"""Scoring protocols: what all models are scored on alike, real pictures and the seeds or pictures that fakes are made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from simulacra.console import Advance, Begin
from simulacra.data.dataset import Dataset
from simulacra.errors import SimulacraError
from simulacra.generator import as_generator
from simulacra.measure import scores
from simulacra.measure.extractors.features import Extractor, Features
from simulacra.measure.intervals import Resampled
from simulacra.measure.metrics import Metric, feature_metrics
from simulacra.measure.model_under_test import BATCH, FIRST_SEED, fakes_of, identity, reals_of
from simulacra.measure.scores import ResampledScore
from simulacra.messages import text
from simulacra.model import Model


class ScoringProtocol(Protocol):
    """Terms that decide a score, and scores on these terms."""

    terms: dict[str, Any]
    source: dict[str, Any]  # the part of the terms that says what fakes are made from
    leads: str  # name of the score that decides
    second: str | None  # name of the score that decides for the second judge
    lead_metric: Metric
    total: int  # fakes per model

    def scores(self, model: Model, advance: Advance = ...) -> dict[str, ResampledScore]:
        """Scores by name."""
        ...

    def lead(self, model: Model, advance: Advance = ...) -> Resampled:
        """The score that decides, alone."""
        ...

    def panels(self, models: Mapping[str, Model], count: int) -> dict[str, Tensor]:
        """Pictures [count, C, H, W] of each model, from the same seeds or of the same pictures, which come first."""
        ...

    def fresh(self) -> ScoringProtocol:
        """The same protocol with seeds or pictures that this one does not use."""
        ...


class SeedProtocol:
    """The protocol for models that draw from seeds. choosing: seeds from 0, else from `FIRST_SEED`.

    taught: the losses of a model look through the extractor's network, so that the second judge decides alone.
    """

    def __init__(
        self,
        data: Dataset,
        *,
        extractor: Extractor,
        on: str | None,
        samples: int,
        reals: int,
        choosing: bool,
        begin: Begin,
        taught: bool = False,
    ) -> None:
        on = on or "train"
        part = data.split(on)
        if len(part) < 2:
            raise SimulacraError("measure.one_picture", part=on, data=data.name)
        self.extractor, self.total, self.choosing = extractor, samples, choosing
        title = text("measure.progress_reals", part=on)
        self.reals: Features = reals_of(part, extractor, reals, begin(title, min(len(part), reals)))
        n_real = len(self.reals[extractor.fd_layer])
        self.lead_metric, second = scores.judges("draw", taught)
        self.leads = scores.score_name(self.lead_metric, extractor)
        self.second = scores.score_name(second, extractor) if second else None
        self.terms: dict[str, Any] = {
            "extractor": identity(extractor),
            "on": on,
            "data": data.hash,
            "n": samples,
            "n_real": n_real,
        }
        self._set_seeds(0 if choosing else FIRST_SEED)
        self.terms |= self.source

    def _set_seeds(self, first: int) -> None:
        self.seeds = range(first, first + self.total)
        self.source = {"seeds": f"{first}-{self.seeds[-1]}"}

    def fakes(self, model: Model, advance: Advance = lambda n: None) -> Features:
        """Features of the fakes that are scored."""
        return fakes_of(as_generator(model), self.extractor, self.seeds, advance)

    def scores(self, model: Model, advance: Advance = lambda n: None) -> dict[str, ResampledScore]:
        """Scores by name; those that choose a checkpoint are the built-in ones."""
        metrics = feature_metrics("draw", built_in=self.choosing)
        return scores.score_features(self.extractor, self.reals, self.fakes(model, advance), metrics)

    def lead(self, model: Model, advance: Advance = lambda n: None) -> Resampled:
        """The score that decides, alone."""
        fakes = self.fakes(model, advance)
        return scores.resampled(self.extractor, self.reals, fakes, [self.lead_metric])[self.leads]

    def panels(self, models: Mapping[str, Model], count: int) -> dict[str, Tensor]:
        """Pictures [count, C, H, W] of each model from the first seeds."""
        seeds = self.seeds[:count]
        return {
            title: torch.cat([batch.cpu() for batch in as_generator(model).pictures(seeds, batch=BATCH)])
            for title, model in models.items()
        }

    def fresh(self) -> SeedProtocol:
        """The same protocol with the seeds of reported scores."""
        other = object.__new__(SeedProtocol)
        other.__dict__.update(self.__dict__)
        other._set_seeds(FIRST_SEED)
        return other
