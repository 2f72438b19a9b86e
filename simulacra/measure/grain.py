"""The metric `grain`: the Fréchet distance on pictures as they are, with everything that people do not see.

It is the score that the treatment of the other scores leaves out: it tells noise of a single grey level, which only
magnified views show.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from simulacra.measure import scores
from simulacra.measure.extractors.features import Extractor, Features
from simulacra.measure.metrics import Metric, by_name
from simulacra.measure.model_under_test import fakes_of, reals_of, subsample
from simulacra.measure.scores import Score
from simulacra.messages import Message, text

if TYPE_CHECKING:
    from simulacra.measure.context import DrawContext, Outcome

PICTURES = 1000  # of each side, at most: a fixed subsample


def possible(extractor: Extractor) -> bool:
    """Whether the extractor's other scores are of treated pictures."""
    return extractor.treated


def grain(context: DrawContext) -> Outcome:
    """The score of a model, from some of its seeds and of the reals it is compared with."""
    extractor, part = context.extractor.untreated, context.data.split(context.on)
    seeds = [context.seeds[i] for i in subsample(len(context.seeds), PICTURES).tolist()]
    title = text("measure.progress_reals", part=context.on)
    real = reals_of(part, extractor, len(seeds), context.begin(title, min(len(part), len(seeds))))
    fake = fakes_of(context.generator, extractor, seeds, context.begin(text("measure.progress_grain"), len(seeds)))
    return grain_of_features(extractor, real, fake), {}


def grain_of_features(untreated: Extractor, real: Features, fake: Features) -> dict[str, Score]:
    """The score by name, from features of untreated pictures."""
    distance = by_name("fd")
    floors = scores.floors_of(untreated, real, [distance])
    (score,) = scores.score_features(untreated, real, fake, [distance], floors).values()
    what = Message("measure.what_grain")
    return {f"grain-{untreated.name}-{untreated.fd_layer}": replace(score, what=what).score()}


METRICS = (
    Metric(
        name="grain", better="lower", what="measure.what_grain", tasks=("draw",), compute=grain,
        possible=lambda context: possible(context.extractor),
    ),
)  # fmt: skip
