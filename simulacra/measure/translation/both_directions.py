"""The two directions of a translation: the pictures to be translated and the real ones they are compared with.

The choice of pictures depends on the size of the dataset alone, never on file names, which may tell the ground-truth
pairs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from simulacra.console import Advance, Begin, silent
from simulacra.data.dataset import Dataset, Pair
from simulacra.errors import SimulacraError
from simulacra.measure import scores
from simulacra.measure.extractors.features import Extractor, Features, features_of_data, pictures_of, shared_features
from simulacra.measure.intervals import Floor, Resampled
from simulacra.measure.metrics import Metric, of_score
from simulacra.measure.model_under_test import BATCH, subsample
from simulacra.measure.score_records import DirectionRecord
from simulacra.measure.scores import ResampledScore
from simulacra.messages import Message, text
from simulacra.translator import OTHER, Side, Translator

MEAN = "mean"  # of both directions, in place of a direction's name
# Metrics with a mean over both directions, a value before translation, and the ratio to it; what that value means
AVERAGED = {
    "fd": "measure.what_fd_untranslated",
    "kid": "measure.what_kid_untranslated",
    "swd": "measure.what_swd_untranslated",
}
HELD_OUT = ("test", "valid")

Rows = NDArray[np.int64]


def has_scores(data: Pair, part: str) -> bool:
    """Whether both domains have at least two pictures in a part, as scores need."""
    return min(data.a.splits.get(part, 0), data.b.splits.get(part, 0)) >= 2


def held_out(data: Pair) -> str:
    """The part that says most about a translator: test, else valid, else train, which it was trained on."""
    return next((part for part in HELD_OUT if has_scores(data, part)), "train")


def for_choice(data: Pair) -> str:
    """The part that a choice of checkpoints may use: valid, else train; never test."""
    return "valid" if has_scores(data, "valid") else "train"


@dataclass(kw_only=True)
class TranslationDirection:
    """One direction. `a2b`: pictures of the domain a are translated and compared with those of b."""

    name: str
    to: Side
    source: str  # the domains' names
    target: str
    extractor: Extractor
    inputs: Dataset  # a part of the source domain, of which `input_rows` are translated
    input_rows: Rows
    reals: Dataset  # a part of the target domain, of which `real_rows` are compared with
    real_rows: Rows
    targets: Dataset  # the target domain's pictures in the part of the inputs
    begin: Begin

    @property
    def n(self) -> int:
        """Number of pictures that are translated."""
        return len(self.input_rows)

    @property
    def title(self) -> Message:
        """`horses to zebras`."""
        return Message("measure.direction", source=self.source, target=self.target)

    def batches(self, rows: Rows | None = None) -> Iterator[Tensor]:
        """The pictures to be translated, or those of `rows`."""
        return pictures_of(self.inputs, self.input_rows if rows is None else rows, BATCH)

    @cached_property
    def real(self) -> Features:
        """Features of the target domain's pictures."""
        advance = self.begin(text("measure.progress_reals", part=self.target), len(self.real_rows))
        return features_of_data(self.extractor, self.reals, self.real_rows, advance)

    @cached_property
    def untranslated(self) -> Features:
        """Features of the pictures before translation."""
        advance = self.begin(text("measure.progress_untranslated"), self.n)
        return features_of_data(self.extractor, self.inputs, self.input_rows, advance)

    @cached_property
    def unseen(self) -> Features | None:
        """Features of `targets`; None where the inputs are of the same part as the reals."""
        if self.targets.splits == self.reals.splits:
            return None
        rows = subsample(len(self.targets), self.n)
        advance = self.begin(text("measure.progress_unseen"), len(rows))
        return features_of_data(self.extractor, self.targets, rows, advance)

    def fakes(self, translator: Translator, advance: Advance) -> Features:
        """Features of the translations."""

        def translations(start: int, stop: int) -> Iterator[Tensor]:
            return translator.translations(self.batches(self.input_rows[start:stop]), self.to)

        return shared_features(self.extractor, translations, self.n, BATCH, advance)

    def named(self, values: Mapping[str, ResampledScore]) -> dict[str, ResampledScore]:
        """Scores with this direction's name: `fd-efl0d-112:a2b`."""
        return {f"{name}:{self.name}": score for name, score in values.items()}

    def to_json(self) -> DirectionRecord:
        """The direction in a certificate."""
        return {"from": self.source, "to": self.target, "n": self.n, "n_real": len(self.real_rows)}

    def distances(self, fakes: Features, metrics: Collection[Metric]) -> dict[str, ResampledScore]:
        """Scores of features with floors; those of `AVERAGED` also before translation, and the ratio of both."""
        extractor, real = self.extractor, self.real
        floors = scores.floors_of(extractor, real, metrics, self.unseen)
        values = scores.score_features(extractor, real, fakes, metrics, floors)
        averaged = [metric for metric in metrics if metric.name in AVERAGED]
        before = scores.score_features(extractor, real, self.untranslated, averaged)
        for metric, (name, score) in zip(averaged, before.items(), strict=True):
            values[f"{name}-untranslated"] = replace(score, better="", what=Message(AVERAGED[metric.name]))
            after = values[name]
            if (left := ratio(after.resampled, score.resampled)) is not None:
                floor = after.floor and after.floor._replace(value=after.floor.value / score.resampled.value)
                values[f"{name}-ratio"] = replace(
                    after, resampled=left, what=Message("measure.what_ratio"), floor=floor
                )
        return self.named(values)


def both_directions(
    data: Pair,
    extractor: Extractor,
    *,
    inputs: str,
    on: str,
    samples: int,
    reals: int,
    skip: int = 0,
    begin: Begin = silent,
) -> list[TranslationDirection]:
    """Both directions of a pair: at most `samples` pictures of the part `inputs` against at most `reals` of `on`.

    skip: of the inputs, leave out the subsample of this size. Raises `SimulacraError` where a part of a domain has
    fewer than two pictures.
    """
    given, compared = _domains(data, inputs), _domains(data, on)
    names: dict[Side, str] = dict(zip(OTHER, data.domains, strict=True))
    directions = []
    for side, other in OTHER.items():
        rows = subsample(len(given[side]), samples, skip)
        for count, part in ((len(rows), inputs), (len(compared[other]), on)):
            if count < 2:
                raise SimulacraError("measure.few_in_domain", data=data.name, number=count, part=part)
        directions.append(
            TranslationDirection(
                name=f"{side}2{other}",
                to=other,
                source=names[side],
                target=names[other],
                extractor=extractor,
                inputs=given[side],
                input_rows=rows,
                reals=compared[other],
                real_rows=subsample(len(compared[other]), reals),
                targets=given[other],
                begin=begin,
            )
        )
    return directions


def _domains(data: Pair, part: str) -> dict[Side, Dataset]:
    return {"a": data.a.split(part), "b": data.b.split(part)}


def means(values: Mapping[str, ResampledScore]) -> dict[str, ResampledScore]:
    """The means over both directions of the scores that decide: `fd-efl0d-112:mean`."""
    averages = {}
    for name, score in values.items():
        base, _, direction = name.rpartition(":")
        other = values.get(f"{base}:b2a")
        if direction == "a2b" and other is not None and _averaged(base):
            averages[f"{base}:{MEAN}"] = _mean(score, other)
    return averages


def _averaged(score: str) -> bool:
    metric = of_score(score)
    return metric is not None and metric.name in AVERAGED


def _mean(one: ResampledScore, other: ResampledScore) -> ResampledScore:
    pair = [one, other]
    replicates = np.mean([score.resampled.replicates for score in pair], axis=0)
    value = float(np.mean([score.resampled.value for score in pair]))
    floors = [score.floor for score in pair if score.floor]
    floor = Floor(float(np.mean([f.value for f in floors])), min(f.n for f in floors)) if len(floors) > 1 else None
    return ResampledScore(
        resampled=Resampled.of(value, replicates, least=one.resampled.least),
        better=one.better,
        what=Message("measure.what_mean", what=one.what),
        n=min(score.n for score in pair),
        n_real=min(score.n_real for score in pair),
        floor=floor,
    )


def ratio(above: Resampled, below: Resampled) -> Resampled | None:
    """One score over another on the same pictures; None where the lower one may be zero."""
    if below.value <= 0 or (below.replicates <= 0).any():
        return None
    least = 0.0 if above.least == 0 else -np.inf
    return Resampled.of(above.value / below.value, above.replicates / below.replicates, least=least)
