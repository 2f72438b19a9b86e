"""The metric `classes`: an Inception score with the data's own classes, read by a linear classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simulacra.errors import SimulacraError
from simulacra.measure.distances import Floats, Weights, checked
from simulacra.measure.intervals import FAKES, RESAMPLES, Resampled, counts
from simulacra.measure.metrics import Metric
from simulacra.measure.scores import Score
from simulacra.messages import Message

if TYPE_CHECKING:
    from simulacra.measure.context import DrawContext, Outcome


def inception_score(probabilities: NDArray[Any]) -> float:
    """exp E KL(p(y|x) ‖ p(y)) of probabilities [N, C] (Salimans et al. 2016): from 1 up to C, higher is better.

    Over all pictures at once, not in ten parts. It has the name of the network only with Inception's classes.
    """
    return float(_scores(_probabilities(probabilities), np.ones((1, len(probabilities))))[0])


def resampled_inception_score(probabilities: NDArray[Any], *, seed: int = 0, resamples: int = RESAMPLES) -> Resampled:
    """`inception_score` with the fakes resampled; the classifier is fixed."""
    values = _probabilities(probabilities)
    replicates = _scores(values, counts(len(values), resamples, seed, FAKES))
    return Resampled.of(inception_score(values), replicates, least=1.0)


def _scores(probabilities: Floats, weights: Weights) -> Floats:
    """[B] for weights [B, N]: E KL = E Σ p log p - Σ p̄ log p̄."""
    n = weights.sum(1)
    marginal = weights @ probabilities / n[:, None]
    scores: Floats = np.exp(weights @ _negentropy(probabilities) / n - _negentropy(marginal))
    return scores


def _negentropy(p: Floats) -> Floats:
    return np.asarray((p * np.log(np.where(p > 0, p, 1))).sum(1))


def _probabilities(array: NDArray[Any]) -> Floats:
    values = checked(array, Message("measure.set_probabilities"), least=1)
    if (values < 0).any() or not np.allclose(values.sum(1), 1, atol=1e-4):
        raise SimulacraError("measure.probabilities")
    return values


def classes(context: DrawContext) -> Outcome:
    """How clearly and how evenly the fakes show the data's classes. Raises `SimulacraError` for data without classes."""
    data, extractor = context.data, context.extractor
    if not data.classes:
        raise SimulacraError("measure.no_classes", data=data.name)
    classifier, layer = context.classifier, extractor.kid_layer
    interval = resampled_inception_score(classifier(context.fakes[layer])).interval()
    accuracy, held_out = classifier.accuracy.value, classifier.held_out
    score = Score(
        **vars(interval),
        n=len(context.seeds),
        n_real=len(context.labelled[1]),
        better="higher",
        what=Message("measure.what_classes_of", classes=len(data.classes), accuracy=accuracy, held_out=held_out),
        floor=inception_score(classifier(context.reals[layer])),
        n_floor=len(context.reals[layer]),
    )
    return {f"classes-{extractor.name}-{layer}": score}, {}


METRICS = (
    Metric(
        name="classes", better="higher", what="measure.what_classes", tasks=("draw",), compute=classes,
        possible=lambda context: bool(context.data.classes) and context.classifiable,
    ),
)  # fmt: skip
