"""What a doubling brings: of the pictures, and of the training time, with intervals and a verdict.

The model is a straight line of the score against log2 of the number of pictures, through the last three parts: a doubling
of the pictures brings (score of all - score of a quarter) / 2. Learning curves flatten, so this is rather too much. A
doubling of the training time is taken to bring what its last doubling brought, at all pictures.

An interval holds two kinds of chance. Which pictures are drawn and compared: all models are scored with the same seeds
against the same reals, and the bootstrap resamples both for all at once. The luck of a training and of its part: the
covariance of a run's scores over seeds, pooled over the parts, with Student's t. With one seed the second is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulacra.measure.intervals import Interval
from simulacra.messages import Message

REPEATS = 50  # draws of the luck of training for each bootstrap replicate
NEGLIGIBLE = 0.1  # of the score; a doubling that surely brings less is not worth it

Effect = Literal["helps", "hurts", "flat", "unclear"]
Winner = Literal["pictures", "training"]


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """Scores of all runs at the same moments of their training.

    values: [P, S, T] for P parts (smallest first), S seeds, T moments, each twice the one before. replicates:
    [P, S, T, B], where replicate b of all is on the same draw of fakes and reals. higher: a higher score is better.
    """

    values: NDArray[np.float64]
    replicates: NDArray[np.float64]
    higher: bool

    def contrast(self, weights: NDArray[np.float64]) -> Interval:
        """The sum of weights [P, T] times the scores' means over seeds, with its 95 % interval."""
        parts, seeds, _ = self.values.shape
        value = float((weights * self.values.mean(1)).sum())
        draws = np.einsum("pt,ptb->b", weights, self.replicates.mean(1))
        if seeds > 1:
            left = self.values - self.values.mean(1, keepdims=True)
            freedom = parts * (seeds - 1)
            covariance = np.einsum("pst,psu->tu", left, left) / freedom
            variance = np.einsum("pt,tu,pu->", weights, covariance, weights) / seeds
            luck = np.random.default_rng(0).standard_t(freedom, len(draws) * REPEATS)
            draws = np.repeat(draws, REPEATS) + np.sqrt(max(0.0, variance)) * luck
        low, high = np.quantile(draws, (0.025, 0.975))
        return Interval(value, min(value, float(low)), max(value, float(high)))

    def score(self, part: int, moment: int = -1) -> Interval:
        """The mean score of a part's runs at one moment."""
        return self.contrast(self._weights({(part, moment): 1.0}))

    def gains(self) -> Gains:
        """What a doubling brings; a positive gain is an improvement."""
        sign = 1.0 if self.higher else -1.0
        pictures = sign * self._weights({(-1, -1): 0.5, (-3, -1): -0.5})
        training = sign * self._weights({(-1, -1): 1.0, (-1, -2): -1.0})
        return Gains(*(self.contrast(weights) for weights in (pictures, training, training - pictures)))

    def _weights(self, entries: dict[tuple[int, int], float]) -> NDArray[np.float64]:
        weights = np.zeros((self.values.shape[0], self.values.shape[2]))
        for place, weight in entries.items():
            weights[place] = weight
        return weights


class Gains(NamedTuple):
    """Improvements of the score."""

    pictures: Interval  # twice as many
    training: Interval  # twice as long
    difference: Interval  # of the training's to the pictures'


class Verdict(NamedTuple):
    """What doubling the pictures and the training does, and which of both does more, where that is sure."""

    pictures: Effect
    training: Effect
    more: Winner | None


def effect(gain: Interval, now: float) -> Effect:
    """Whether a gain is sure, a loss is sure, the gain is surely negligible beside the score `now`, or none of these."""
    if gain.low > 0 or gain.high < 0:
        return "helps" if gain.low > 0 else "hurts"
    return "flat" if gain.high < NEGLIGIBLE * abs(now) else "unclear"


def decide(gains: Gains, now: float) -> Verdict:
    """The verdict at the present score `now`."""
    pictures, training = effect(gains.pictures, now), effect(gains.training, now)
    more: Winner | None = None
    if training == "helps" and gains.difference.low > 0:
        more = "training"
    elif pictures == "helps" and gains.difference.high < 0:
        more = "pictures"
    return Verdict(pictures, training, more)


PICTURES = {
    "helps": "planning.pictures_help",
    "hurts": "planning.pictures_hurt",
    "flat": "planning.pictures_flat",
    "unclear": "planning.pictures_unclear",
}
TRAINING = {
    "hurts": "planning.training_hurts",
    "flat": "planning.training_flat",
    "unclear": "planning.training_unclear",
}
HELPING = {"training": "planning.training_more", "pictures": "planning.training_less", None: "planning.training_same"}


def findings(verdict: Verdict, gains: Gains) -> dict[str, Message]:
    """What doubling the pictures brings, and the training, in words with their uncertainty."""
    code = TRAINING.get(verdict.training, HELPING[verdict.more])
    if verdict.training == "helps" and verdict.pictures != "helps":
        code = "planning.training_helps"
    pictures = Message(PICTURES[verdict.pictures], gain=_text(gains.pictures))
    return {"pictures": pictures, "training": Message(code, gain=_text(gains.training))}


def sentence(verdict: Verdict, gains: Gains, *, data: str, longer: str, seeds: int) -> Message:
    """The findings with what to do. longer: the option for runs of twice the length; seeds: runs of each part."""
    advice = Message(_advice(verdict), data=data, longer=longer, seeds=seeds + 2)
    return Message("planning.verdict", **findings(verdict, gains), advice=advice)


def _advice(verdict: Verdict) -> str:
    if verdict.pictures == "helps":
        if verdict.training != "helps" or verdict.more == "pictures":
            return "planning.advice_collect"
        return "planning.advice_train_first" if verdict.more else "planning.advice_both"
    if verdict.training == "helps":
        return "planning.advice_train"
    return "planning.advice_repeat" if "unclear" in verdict else "planning.advice_other"


def _text(gain: Interval) -> Message:
    """A gain with as many decimals as its interval deserves."""
    width = max(gain.high - gain.low, 1e-12)
    decimals = int(min(6, max(0, -np.floor(np.log10(width / 5)))))
    low, value, high = (f"{round(end, decimals) + 0.0:.{decimals}f}" for end in (gain.low, gain.value, gain.high))
    return Message("planning.gain", value=value, low=low, high=high)
