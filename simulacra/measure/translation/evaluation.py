"""The scores of a translator: each direction, and the mean of both that decides between checkpoints.

Pictures that are translated. To say how good a model is: pictures it was not trained on (the test part, else the
validation part, else, with a warning, the training part), compared with the target domain's training pictures. To
choose a checkpoint: validation pictures, else training ones; test pictures take no part in a choice. Where a part is
named, inputs and reals are both of that part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from simulacra.console import Advance, Begin, silent
from simulacra.data.dataset import Pair
from simulacra.measure import scores
from simulacra.measure.context import computed
from simulacra.measure.extractors.features import Extractor
from simulacra.measure.intervals import Resampled
from simulacra.measure.metrics import Metric, feature_metrics, metrics
from simulacra.measure.model_under_test import identity
from simulacra.measure.score_records import english
from simulacra.measure.scores import ResampledScore, Score, as_score
from simulacra.measure.translation.both_directions import (
    MEAN,
    TranslationDirection,
    both_directions,
    for_choice,
    held_out,
    means,
)
from simulacra.messages import Message, text
from simulacra.model import Model
from simulacra.translator import Translator, as_translator


class TranslationProtocol:
    """The protocol for translators: the same pictures to translate and the same reals, in both directions."""

    def __init__(
        self,
        data: Pair,
        *,
        extractor: Extractor,
        on: str | None = None,
        samples: int,
        reals: int,
        choosing: bool = True,
        skip: int = 0,
        begin: Begin = silent,
        taught: bool = False,
    ) -> None:
        self.taught = taught
        self.data, self.extractor, self.choosing, self.begin = data, extractor, choosing, begin
        self.inputs = on or (for_choice(data) if choosing else held_out(data))
        self.on, self.named_part, self.reals = on or "train", on, reals
        # Where no other part is left to check the choice with, half of the pictures is kept out of the choice.
        self.only_part = choosing and (on or held_out(data)) == self.inputs
        n = min(domain.splits.get(self.inputs, 0) for domain in (data.a, data.b))
        self.samples = min(samples, n // 2) if self.only_part and n >= 4 else samples
        self.directions = both_directions(
            data, extractor, inputs=self.inputs, on=self.on, samples=self.samples, reals=reals, skip=skip, begin=begin
        )
        records = {direction.name: direction.to_json() for direction in self.directions}
        self.source: dict[str, Any] = {"inputs": self.inputs}
        self.terms: dict[str, Any] = {
            "extractor": identity(extractor),
            "on": self.on,
            "data": data.hash,
            "n": min(record["n"] for record in records.values()),
            "n_real": min(record["n_real"] for record in records.values()),
            **self.source,
            "directions": records,
        }
        self.total = sum(direction.n for direction in self.directions)
        self.lead_metric, second = scores.judges("translate", taught)
        self.leads = f"{scores.score_name(self.lead_metric, extractor)}:{MEAN}"
        self.second = f"{scores.score_name(second, extractor)}:{MEAN}" if second else None

    def scores(self, model: Model, advance: Advance = lambda n: None) -> dict[str, ResampledScore]:
        """Scores by name. Those that choose a checkpoint are the built-in ones of features, so that no file name counts."""
        translator = as_translator(model)
        values = self._distances(translator, feature_metrics("translate", built_in=self.choosing), advance)
        if self.choosing:
            return values
        context = TranslationContext(generator=translator, protocol=self)
        singles, _ = computed(context, [metric for metric in metrics("translate") if metric.possible(context)])
        return values | {
            name: score
            for name, score in singles.items()
            if isinstance(score, ResampledScore) and score.better and "-ratio" not in name
        }

    def _distances(
        self, translator: Translator, metrics: Sequence[Metric], advance: Advance
    ) -> dict[str, ResampledScore]:
        values: dict[str, ResampledScore] = {}
        for direction in self.directions:
            fakes = direction.fakes(translator, advance)
            values |= direction.named(scores.score_features(self.extractor, direction.real, fakes, metrics))
        return means(values) | values

    def lead(self, model: Model, advance: Advance = lambda n: None) -> Resampled:
        """The score that decides, alone."""
        return self._distances(as_translator(model), [self.lead_metric], advance)[self.leads].resampled

    def panels(self, models: Mapping[str, Model], count: int) -> dict[str, Tensor]:
        """The first pictures of both directions [count, C, H, W], and the translations of each model."""
        before = text("measure.panel_inputs")
        panels: dict[str, list[Tensor]] = {title: [] for title in (before, *models)}
        for direction in self.directions:
            batches = list(direction.batches(direction.input_rows[: count // 2]))
            panels[before] += batches
            for title, model in models.items():
                panels[title] += as_translator(model).translations(iter(batches), direction.to)
        return {title: torch.cat([batch.cpu() for batch in batches]) for title, batches in panels.items()}

    def fresh(self) -> TranslationProtocol:
        """The same protocol on pictures that this one does not use, as far as there are any."""
        options: dict[str, Any] = {"extractor": self.extractor, "samples": self.samples, "reals": self.reals}
        options |= {"choosing": False, "begin": self.begin, "taught": self.taught}
        if not self.only_part:
            return TranslationProtocol(self.data, **options)
        skip = self.samples if min(direction.n for direction in self.directions) == self.samples else 0
        other = TranslationProtocol(self.data, on=self.named_part or self.inputs, skip=skip, **options)
        other.source = {"inputs": f"{self.inputs}, {'others' if skip else 'the same'}"}
        return other


@dataclass(frozen=True, kw_only=True)
class TranslationContext:
    """A translator with the pictures it is scored on."""

    generator: Translator
    protocol: TranslationProtocol

    @property
    def data(self) -> Pair:
        """The pair that it is scored on."""
        return self.protocol.data

    @property
    def extractor(self) -> Extractor:
        """The extractor of features."""
        return self.protocol.extractor

    @property
    def directions(self) -> list[TranslationDirection]:
        """Both directions."""
        return self.protocol.directions

    @property
    def part(self) -> str:
        """The part whose pictures are translated."""
        return self.protocol.inputs

    def begin(self, metric: str, direction: TranslationDirection) -> Advance:
        """Progress of a metric that looks at single pictures."""
        title = text("measure.progress_direction", what=metric, direction=direction.title)
        return self.protocol.begin(title, direction.n)

    def scores(self, metrics: Sequence[Metric]) -> tuple[dict[str, Score], dict[str, Any]]:
        """Scores by name, and the certificate's other entries."""
        values: dict[str, ResampledScore] = {}
        of_features = [metric for metric in metrics if metric.score is not None]
        for direction in self.directions if of_features else ():
            title = text("measure.progress_translations", direction=direction.title)
            fakes = direction.fakes(self.generator, self.protocol.begin(title, direction.n))
            values |= direction.distances(fakes, of_features)
        singles, entries = computed(self, metrics)
        warnings = [*entries.pop("warnings", []), *self._warnings()]
        scored = {name: as_score(score) for name, score in (means(values) | values | dict(singles)).items()}
        return scored, self._terms() | entries | {"warnings": warnings}

    def _terms(self) -> dict[str, Any]:
        terms, data = self.protocol.terms, self.data
        compared = {"on": terms["on"], "inputs": terms["inputs"], "pictures": terms["n_real"]}
        record = {"name": data.name, "hash": data.hash, **compared, "size": list(data.shape)}
        return {"data": record, "n": terms["n"], "leads": self.protocol.leads, "directions": terms["directions"]}

    def _warnings(self) -> list[str]:
        warnings = []
        if self.part == "train":
            warnings.append(Message("measure.warn_trained_on"))
        classes, domains = self.generator.classes, self.data.domains
        if set(classes) == set(domains) and classes != domains:
            warnings.append(Message("measure.warn_swapped", data=self.data.name))
        return [english(message) for message in warnings]
