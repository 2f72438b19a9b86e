"""The metrics `cycle` and `identity`: errors of pictures translated there and back, and of those already in the domain.

Errors are L1, for pixels from 0 to 1. A translator can hide a picture in invisible detail of its translation, and
restore it from there whatever the translation shows (Chu, Zhmoginov, Sandler. CycleGAN, a Master of Steganography. 2017,
arXiv:1712.02950). So the metric also translates back a disturbed translation: rounded to 8 bits, with faint noise. With
c the error of the cycle, c' that of the disturbed cycle, and e the size of the disturbance:

    honesty = √(c² + e²) / c', at most 1
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from simulacra.measure.distances import Floats
from simulacra.measure.extractors.features import pictures_of
from simulacra.measure.intervals import Resampled, resampled_mean
from simulacra.measure.metrics import Metric, by_name
from simulacra.measure.model_under_test import BATCH, subsample
from simulacra.measure.score_records import english
from simulacra.measure.scores import ResampledScore, round_to
from simulacra.measure.translation.similarity import l1
from simulacra.messages import Message
from simulacra.translator import OTHER, Side, Translator

if TYPE_CHECKING:
    from simulacra.measure.context import Outcome
    from simulacra.measure.translation.evaluation import TranslationContext

NOISE = 2 / 255  # standard deviation, of a pixel from 0 to 1
HONEST, HIDING = 0.8, 0.5  # honest from here on; hiding below


@dataclass(frozen=True, eq=False)
class Cycle:
    """Per picture [N]: the L1 error of the cycle, that of the disturbed cycle, and the disturbance."""

    clean: Floats
    disturbed: Floats
    disturbance: Floats


@torch.no_grad()
def cycle_errors(translator: Translator, batches: Iterable[Tensor], to: Side) -> Cycle:
    """Translate pictures in [-1, 1] to `to` and back. The noise depends on a picture's index alone."""
    translator.eval()
    clean, disturbed, disturbance = list[Floats](), list[Floats](), list[Floats]()
    done, back = 0, OTHER[to]
    for batch in batches:
        images = batch.to(translator.device)
        translated = translator.translate(images, to)
        noisy = _disturbed(translated, done)
        clean.append(l1(translator.translate(translated, back), images))
        disturbed.append(l1(translator.translate(noisy, back), images))
        disturbance.append(l1(noisy, translated))
        done += len(images)
    return Cycle(*(np.concatenate(values) for values in (clean, disturbed, disturbance)))


def _disturbed(pictures: Tensor, first: int) -> Tensor:
    """Pictures number `first` and so on, rounded to 8 bits, with noise."""
    noise = [np.random.default_rng([5, first + i]).standard_normal(pictures.shape[1:]) for i in range(len(pictures))]
    rounded = (pictures.clamp(-1, 1) * 127.5 + 127.5).round() / 127.5 - 1
    return rounded + 2 * NOISE * torch.from_numpy(np.stack(noise)).to(pictures)


def honesty(cycle: Cycle) -> Resampled:
    """1: the way back depends on what a translation shows; near 0: on what it hides."""
    clean, disturbed, disturbance = map(resampled_mean, (cycle.clean, cycle.disturbed, cycle.disturbance))

    def share(c: Floats, after: Floats, e: Floats) -> Floats:
        values: Floats = np.minimum(np.sqrt(c**2 + e**2) / np.maximum(after, 1e-12), 1)
        return values

    value = share(*(np.array([mean.value]) for mean in (clean, disturbed, disturbance)))
    replicates = share(clean.replicates, disturbed.replicates, disturbance.replicates)
    return Resampled.of(float(value[0]), replicates, least=0.0)


def verdict(value: float, clean: float, disturbed: float, direction: Message | str) -> tuple[str, Message]:
    """A word and a sentence about a translator's honesty. `direction`: `horses to zebras`."""
    measured = Message("measure.honesty_measured", clean=clean, disturbed=disturbed, honesty=value)
    values = {"direction": direction, "measured": measured}
    if value >= HONEST:
        return "honest", Message("measure.honest", **values)
    if value >= HIDING:
        return "partly", Message("measure.partly_honest", **values)
    return "hiding", Message("measure.hiding", **values)


@torch.no_grad()
def identity_errors(translator: Translator, batches: Iterable[Tensor], to: Side) -> Floats:
    """[N]: L1 between pictures that are of the domain `to` already and their translations."""
    translator.eval()
    given = (batch.to(translator.device) for batch in batches)
    return np.concatenate([l1(translator.translate(images, to), images) for images in given])


def named_scores(values: dict[str, Resampled], n: int, n_real: int = 0) -> dict[str, ResampledScore]:
    """Scores by metric name, with the metrics' sentences."""
    scores = {}
    for name, value in values.items():
        metric = by_name(name)
        scores[name] = ResampledScore(
            resampled=value, better=metric.better, what=Message(metric.what), n=n, n_real=n_real
        )
    return scores


def cycle(context: TranslationContext) -> Outcome:
    """Errors of the cycle and honesty, for each direction."""
    scores, entry = dict[str, ResampledScore](), dict[str, Any]()
    warnings = []
    for direction in context.directions:
        advance = context.begin("cycle", direction)
        errors = cycle_errors(context.generator, direction.batches(), direction.to)
        advance(direction.n)
        clean, disturbed, share = resampled_mean(errors.clean), resampled_mean(errors.disturbed), honesty(errors)
        word, sentence = verdict(share.value, clean.value, disturbed.value, direction.title)
        values = {"cycle-l1": clean, "cycle-l1-disturbed": disturbed, "honesty": share}
        scores |= direction.named(named_scores(values, direction.n))
        entry[direction.name] = {"value": round_to(share.value), "verdict": word, "sentence": english(sentence)}
        if word == "hiding":
            warnings.append(english(sentence))
    return scores, {"honesty": entry, "warnings": warnings}


def identity(context: TranslationContext) -> Outcome:
    """The change to pictures that need none, for each direction."""
    scores: dict[str, ResampledScore] = {}
    for direction in context.directions:
        advance = context.begin("identity", direction)
        rows = subsample(len(direction.targets), direction.n)
        errors = identity_errors(context.generator, pictures_of(direction.targets, rows, BATCH), direction.to)
        advance(direction.n)
        scores |= direction.named(named_scores({"identity-l1": resampled_mean(errors)}, len(rows)))
    return scores, {}


_metric = partial(Metric, word="cycle", tasks=("translate",), compute=cycle)
METRICS = (
    _metric(name="cycle-l1", better="lower", what="measure.what_cycle"),
    _metric(name="cycle-l1-disturbed", better="lower", what="measure.what_cycle_disturbed"),
    _metric(name="honesty", better="higher", what="measure.what_honesty"),
    _metric(name="identity-l1", word="identity", better="lower", what="measure.what_identity", compute=identity),
)
