"""The metric `grain`: the Fréchet distance on pictures as they are, with everything that people do not see.

It is the score that the treatment of the other scores leaves out: it tells noise of a single grey level, which only
magnified views show.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from torch import Tensor

from simulacra.measure import scores
from simulacra.measure.extractors.features import Extractor, Features, features_of
from simulacra.measure.metrics import Metric, by_name
from simulacra.measure.model_under_test import fakes_of, reals_of
from simulacra.measure.scores import Score
from simulacra.messages import Message, text

if TYPE_CHECKING:
    from simulacra.measure.context import DrawContext, Outcome

PICTURES = 1000  # of each side, at most


def possible(extractor: Extractor) -> bool:
    """Whether the extractor's other scores are of treated pictures."""
    return extractor.treated


def grain(context: DrawContext) -> Outcome:
    """The score of a model, from its first seeds."""
    extractor, seeds = context.extractor.untreated, context.seeds[:PICTURES]
    part = context.data.split(context.on)
    title = text("measure.progress_reals", part=context.on)
    real = reals_of(part, extractor, PICTURES, context.begin(title, min(len(part), PICTURES)))
    fake = fakes_of(context.generator, extractor, seeds, context.begin(text("measure.progress_grain"), len(seeds)))
    return _score(extractor, real, fake), {}


def grain_of_pictures(
    extractor: Extractor, fakes: Iterable[Tensor], fake_count: int, reals: Iterable[Tensor], real_count: int
) -> dict[str, Score]:
    """The score of two sets of pictures, given as batches [n, C, H, W] in [-1, 1], from the first `PICTURES` of each."""
    untreated = extractor.untreated
    real = features_of(untreated, reals, min(real_count, PICTURES))
    return _score(untreated, real, features_of(untreated, fakes, min(fake_count, PICTURES)))


def _score(extractor: Extractor, real: Features, fake: Features) -> dict[str, Score]:
    distance = by_name("fd")
    floors = scores.floors_of(extractor, real, [distance])
    (score,) = scores.score_features(extractor, real, fake, [distance], floors).values()
    name = f"grain-{extractor.name}-{extractor.fd_layer}"
    return {name: Score(**vars(score.score()) | {"what": Message("measure.what_grain")})}


METRICS = (
    Metric(
        name="grain", better="lower", what="measure.what_grain", tasks=("draw",), compute=grain,
        possible=lambda context: possible(context.extractor),
    ),
)  # fmt: skip
