"""Scores within each class, for a model that is told classes: are fakes of a class like its reals, and read as it?

No further pictures are drawn: the fakes that every score is of are parted by the class that each was asked for. So
are the reals. The mean over classes is in the manner of the intra-FID of Miyato & Koyama (2018, arXiv:1802.05637).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulacra.errors import SimulacraError
from simulacra.measure import scores
from simulacra.measure.context import Evidence
from simulacra.measure.extractors.features import Features
from simulacra.measure.intervals import Interval, Resampled, share
from simulacra.measure.model_under_test import subsample
from simulacra.measure.scores import Score, round_to

FEWEST = 20  # pictures of a class on each side; with fewer its distance is not told

Labels = NDArray[np.int64]
Line = dict[str, Any]


def possible(evidence: Evidence) -> bool:
    """Whether the model is told the classes that the data has."""
    model, data = evidence.generator, evidence.data
    return bool(model.labels) and not model.attributes and model.classes == data.classes


def within(evidence: Evidence) -> tuple[dict[str, Score], Line]:
    """Distance and reader's agreement of each class, and their means. Raises `SimulacraError` where no classes are told."""
    if not possible(evidence):
        raise SimulacraError(
            f"The model is not told the classes of {evidence.data.name}: leave within out of --metrics, or train one "
            "with conditional=true on pictures with classes."
        )
    y, stored = evidence.generator.labelled(evidence.seeds), evidence.data.split(evidence.on).labels
    assert y is not None and stored is not None
    asked, true = y.argmax(1).cpu().numpy(), stored[subsample(len(stored), len(evidence.seeds))]
    distances = _distances(evidence, true, asked)
    agreement, lines = _agreement(evidence, asked)
    for number, line in enumerate(lines):
        made, floors = distances.get(number, ({}, {}))
        line |= {"n": int((asked == number).sum()), "n_real": int((true == number).sum())}
        line["scores"] = {name: _told(score.interval()) | {"floor": floors[name]} for name, score in made.items()}
    told: Line = {"classes": lines, "held_out": evidence.reader.held_out, "fewest": FEWEST}
    return _means(evidence, distances) | agreement, {"within": told}


Distances = dict[int, tuple[dict[str, Resampled], dict[str, float | None]]]


def _distances(evidence: Evidence, true: Labels, asked: Labels) -> Distances:
    """Of each class with enough pictures, by number: KID, and the Fréchet distance where it is steady; with floors."""
    eyes, found = evidence.extractor, Distances()
    for number in range(len(evidence.data.classes)):
        real, fake = _part(evidence.reals, true == number), _part(evidence.fakes, asked == number)
        least = min(len(side[eyes.kid_layer]) for side in (real, fake))
        if least >= FEWEST:
            kinds = frozenset(["kid", "fd"] if least >= scores.ENOUGH else ["kid"])
            floors = scores.floors_of(eyes, real, kinds)
            least_of = {name: round_to(floor.value) if floor else None for name, floor in floors.items()}
            found[number] = scores.resampled(eyes, real, fake, kinds), least_of
    return found


def _part(features: Features, chosen: NDArray[np.bool_]) -> Features:
    return {layer: values[chosen] for layer, values in features.items()}


def _means(evidence: Evidence, distances: Distances) -> dict[str, Score]:
    """The mean of KID over the classes that have one."""
    name = scores.named("kid", evidence.extractor)
    made = [score[name] for score, _ in distances.values()]
    if not made:
        return {}
    floors = [floor[name] for _, floor in distances.values()]
    known = [floor for floor in floors if floor is not None]
    replicates = np.mean([score.replicates for score in made], axis=0)
    whole = Resampled(float(np.mean([score.value for score in made])), replicates).interval()
    score = Score(
        value=whole.value,
        low=whole.low,
        high=whole.high,
        n=len(evidence.seeds),
        n_real=len(evidence.reals[evidence.extractor.kid_layer]),
        better="lower",
        what=f"mean over {len(made)} classes of KID between the fakes asked for as the class and its reals",
        floor=float(np.mean(known)) if known else None,
    )
    return {f"within-{name}": score}


def _agreement(evidence: Evidence, asked: Labels) -> tuple[dict[str, Score], list[Line]]:
    """Whether fakes are read as the class that was asked for: in all, and class by class beside held-out reals."""
    eyes, reader, names = evidence.extractor, evidence.reader, evidence.data.classes
    features, labels = evidence.labelled
    held, read = labels[reader.tested], reader(evidence.fakes[eyes.kid_layer]).argmax(1)
    right = reader(features[reader.tested]).argmax(1) == held
    lines = []
    for number, name in enumerate(names):
        as_what = np.bincount(read[asked == number], minlength=len(names))
        hits, real = (read == asked)[asked == number], right[held == number]
        other = int(np.where(np.arange(len(names)) == number, -1, as_what).argmax())
        lines.append(
            {
                "class": name,
                "agreement": _told(share(hits)) if len(hits) else None,
                "agreement_real": _told(share(real)) | {"n": len(real)} if len(real) else None,
                "else_read_as": names[other] if len(hits) and as_what[other] else None,
                "else_share": round_to(float(as_what[other] / len(hits))) if len(hits) else None,
            }
        )
    whole = share(read == asked)
    score = Score(
        value=whole.value,
        low=whole.low,
        high=whole.high,
        n=len(asked),
        n_real=len(labels),
        better="higher",
        what="share of fakes that a reader of the data's classes takes for the class that was asked for; beside it, the "
        "share of reals it had not seen that it is right on",
        floor=reader.accuracy.value,
        n_floor=reader.held_out,
    )
    return {f"agreement-{eyes.name}-{eyes.kid_layer}": score}, lines


def _told(score: Interval) -> Line:
    return {key: round_to(value) for key, value in vars(score).items()}
