"""The metrics `within` and `agreement` of a conditional model: whether fakes of a class are like its reals.

No further pictures are drawn: the fakes of the other scores are grouped by the class they were drawn for, and so are
the reals. The mean over classes follows the intra-FID of Miyato & Koyama (2018, arXiv:1802.05637).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simulacra.errors import SimulacraError
from simulacra.files import JsonObject
from simulacra.measure import scores
from simulacra.measure.extractors.features import Features
from simulacra.measure.intervals import Interval, Resampled, share
from simulacra.measure.metrics import Metric, by_name
from simulacra.measure.model_under_test import subsample
from simulacra.measure.scores import Score, round_to, score_name
from simulacra.messages import Message

if TYPE_CHECKING:
    from simulacra.measure.context import DrawContext, Outcome

FEWEST = 20  # pictures of a class on each side; with fewer its distance is not computed

Labels = NDArray[np.int64]
Distances = dict[int, tuple[dict[str, Resampled], dict[str, float | None]]]  # class -> scores and floors by name


def possible(context: DrawContext) -> bool:
    """Whether the model is conditional on the classes of the data."""
    model, data = context.generator, context.data
    return bool(model.labels) and not model.attributes and model.classes == data.classes


def per_class(context: DrawContext) -> Outcome:
    """Distance and agreement of each class, and their means. Raises `SimulacraError` for a model without these classes."""
    if not possible(context):
        raise SimulacraError("measure.not_conditional", data=context.data.name)
    y, stored = context.generator.conditions(context.seeds), context.data.split(context.on).labels
    assert y is not None and stored is not None
    fake, real = y.argmax(1).cpu().numpy(), stored[subsample(len(stored), len(context.seeds))]
    distances = _distances(context, real, fake)
    agreement, lines = _agreement(context, fake)
    for number, line in enumerate(lines):
        values, floors = distances.get(number, ({}, {}))
        line |= {"n": int((fake == number).sum()), "n_real": int((real == number).sum())}
        line["scores"] = {name: _record(score.interval()) | {"floor": floors[name]} for name, score in values.items()}
    entry: JsonObject = {"classes": lines, "held_out": context.classifier.held_out, "fewest": FEWEST}
    return _mean(context, distances) | agreement, {"within": entry}


def _distances(context: DrawContext, real_labels: Labels, fake_labels: Labels) -> Distances:
    """KID of each class with enough pictures, and the Fréchet distance where it is steady; with floors."""
    extractor, distances = context.extractor, Distances()
    for number in range(len(context.data.classes)):
        real, fake = _rows(context.reals, real_labels == number), _rows(context.fakes, fake_labels == number)
        least = min(len(side[extractor.kid_layer]) for side in (real, fake))
        if least >= FEWEST:
            metrics = [by_name(name) for name in (("fd", "kid") if least >= scores.ENOUGH else ("kid",))]
            floors = scores.floors_of(extractor, real, metrics)
            values = {name: round_to(floor.value) if floor else None for name, floor in floors.items()}
            distances[number] = scores.resampled(extractor, real, fake, metrics), values
    return distances


def _rows(features: Features, chosen: NDArray[np.bool_]) -> Features:
    return {layer: values[chosen] for layer, values in features.items()}


def _mean(context: DrawContext, distances: Distances) -> dict[str, Score]:
    """The mean of KID over the classes that have one."""
    name = score_name(by_name("kid"), context.extractor)
    values = [score[name] for score, _ in distances.values()]
    if not values:
        return {}
    floors = [floor[name] for _, floor in distances.values()]
    present = [floor for floor in floors if floor is not None]
    replicates = np.mean([score.replicates for score in values], axis=0)
    interval = Resampled(float(np.mean([score.value for score in values])), replicates).interval()
    score = Score(
        **vars(interval),
        n=len(context.seeds),
        n_real=len(context.reals[context.extractor.kid_layer]),
        better="lower",
        what=Message("measure.what_within_of", classes=len(values)),
        floor=float(np.mean(present)) if present else None,
    )
    return {f"within-{name}": score}


def _agreement(context: DrawContext, fake_labels: Labels) -> tuple[dict[str, Score], list[JsonObject]]:
    """How often the classifier reads a fake as its class: overall, and by class beside held-out reals."""
    extractor, classifier, names = context.extractor, context.classifier, context.data.classes
    features, labels = context.labelled
    true, read = labels[classifier.tested], classifier(context.fakes[extractor.kid_layer]).argmax(1)
    correct = classifier(features[classifier.tested]).argmax(1) == true
    lines = []
    for number, name in enumerate(names):
        counts = np.bincount(read[fake_labels == number], minlength=len(names))
        hits, real = (read == fake_labels)[fake_labels == number], correct[true == number]
        other = int(np.where(np.arange(len(names)) == number, -1, counts).argmax())
        lines.append(
            {
                "class": name,
                "agreement": _record(share(hits)) if len(hits) else None,
                "agreement_real": _record(share(real)) | {"n": len(real)} if len(real) else None,
                "else_read_as": names[other] if len(hits) and counts[other] else None,
                "else_share": round_to(float(counts[other] / len(hits))) if len(hits) else None,
            }
        )
    score = Score(
        **vars(share(read == fake_labels)),
        n=len(fake_labels),
        n_real=len(labels),
        better="higher",
        what=Message("measure.what_agreement"),
        floor=classifier.accuracy.value,
        n_floor=classifier.held_out,
    )
    return {f"agreement-{extractor.name}-{extractor.kid_layer}": score}, lines


def _record(interval: Interval) -> JsonObject:
    return {key: round_to(value) for key, value in vars(interval).items()}


_metric = partial(
    Metric,
    word="within",
    tasks=("draw",),
    compute=per_class,
    possible=lambda context: possible(context) and context.classifiable,
)
METRICS = (
    _metric(name="within", better="lower", what="measure.what_within"),
    _metric(name="agreement", better="higher", what="measure.what_agreement"),
)
