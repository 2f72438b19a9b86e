"""The verdict of `worth`: gains of arms with intervals over training seeds and unseen pictures, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulacra.files import JsonObject
from simulacra.measure.intervals import Interval, Resampled
from simulacra.measure.score_records import english
from simulacra.measure.scores import round_to
from simulacra.measure.worth_plan import Plan
from simulacra.messages import Message

MOST_DOUBLINGS = 2.0  # of the real pictures, that a gain is said to be worth
RARE = 0.8  # of the mean number of pictures: below it the rarest class is shown by itself

Outcomes = Mapping[tuple[str, int], NDArray[np.bool_]]  # (arm, seed) -> [M], see `worth_plan.correct`


class ArmBootstrap:
    """Resampled accuracies of arms, all on the same draws of training seeds and unseen pictures.

    Seeds are drawn with replacement, and so are pictures within their class; both deviations are added. This counts
    what one seed does to one picture twice, so intervals are rather wide. A bootstrap of few seeds is too narrow:
    deviations are stretched to Student's t with the degrees of freedom of Welch and Satterthwaite.
    """

    def __init__(self, plan: Plan, classes: NDArray[np.int64], outcomes: Outcomes) -> None:
        self.plan, self.outcomes, self.classes = plan, outcomes, classes
        settings, seeds = plan["interval"], len(plan["seeds"])
        source = np.random.default_rng(settings["seed"])
        resamples, self.level = settings["resamples"], settings["level"]
        self.seeds = source.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples) / seeds  # [B, S]
        self.counts = np.zeros((resamples, len(classes)), np.float32)  # [B, M]
        for number in range(len(plan["classes"])):
            rows = np.flatnonzero(classes == number)
            self.counts[:, rows] = source.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=resamples)

    def mean(self, weights: Mapping[str, float], of: str | None = None) -> Resampled:
        """A weighted sum of the accuracies of arms: of a class, or the mean over classes."""
        seeds = self.plan["seeds"]
        hits = np.stack([sum(w * self.outcomes[arm, seed] for arm, w in weights.items()) for seed in seeds])  # [S, M]
        hits = hits * self._shares(of)
        by_seed, by_picture = hits.sum(1), hits.mean(0)
        value, degrees = float(by_seed.mean()), len(seeds) - 1
        seed_part = (self.seeds @ by_seed - value) * np.sqrt(len(seeds) / degrees)
        picture_part = self.counts @ by_picture - value
        of_seeds, of_pictures = float(seed_part.var()), float(picture_part.var())
        share = max(of_seeds, 1e-12) / max(of_seeds + of_pictures, 1e-12)
        return Resampled(value, value + (seed_part + picture_part) * stretch(degrees / share**2, self.level))

    def accuracy(self, arm: str, of: str | None = None) -> Resampled:
        """The share of unseen pictures that is recognised."""
        return self.mean({arm: 1.0}, of)

    def gain(self, arm: str, of: str | None = None) -> Resampled:
        """The accuracy of an arm minus that of the arm it has to beat."""
        return self.mean({arm: 1.0, self.plan["decides"]["against"]: -1.0}, of)

    def gain_over_reals(self, of: str | None = None) -> Resampled:
        """The accuracy of the arm that decides minus that of real pictures alone."""
        return self.mean({self.plan["decides"]["arm"]: 1.0, self.plan["decides"]["also_against"]: -1.0}, of)

    def slope(self, of: str | None = None) -> Resampled:
        """Accuracy per doubling of the real pictures: least squares on the learning curve of real pictures."""
        arms = {name: arm["reals"] for name, arm in self.plan["arms"].items() if arm["augment"] and not arm["ratio"]}
        x = np.log2(list(arms.values()))
        weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
        return self.mean(dict(zip(arms, weights.tolist(), strict=True)), of)

    def _shares(self, of: str | None) -> NDArray[np.float64]:
        """[M]: what each picture counts, summing to 1."""
        names = self.plan["classes"]
        chosen = range(len(names)) if of is None else [names.index(of)]
        weights = np.zeros(len(self.classes))
        for number in chosen:
            rows = self.classes == number
            weights[rows] = 1 / (rows.sum() * len(chosen))
        return weights


def stretch(degrees: float, level: float) -> float:
    """Quantile of Student's t over that of the normal distribution (Cornish and Fisher's series)."""
    z, v = NormalDist().inv_cdf((1 + level) / 2), degrees
    t = z + (z**3 + z) / (4 * v) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
    t += (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    return t / z


def more_reals(gain: Resampled, slope: Resampled, reals: int, level: float) -> Interval | None:
    """How many more real pictures bring the same gain; None where the learning curve of real pictures may be flat.

    N (2^(gain / slope) - 1), at most N (2^`MOST_DOUBLINGS` - 1). The curve flattens, so this is rather too few.
    """
    if slope.interval(level).low <= 0:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        doublings = np.where(slope.replicates > 0, gain.replicates / slope.replicates, MOST_DOUBLINGS)
    ends = np.quantile(doublings, [(1 - level) / 2, (1 + level) / 2])
    value, low, high = (
        reals * (2 ** float(np.clip(d, 0, MOST_DOUBLINGS)) - 1) for d in (gain.value / slope.value, *ends)
    )
    return Interval(value, low, high)


def verdict(plan: Plan, classes: NDArray[np.int64], outcomes: Outcomes) -> JsonObject:
    """Accuracies, gains, the decision and its sentence, as JSON. classes: of the unseen pictures [M]."""
    bench, decides, level = ArmBootstrap(plan, classes, outcomes), plan["decides"], plan["interval"]["level"]
    of, reals = decides["of"], sum(plan["train"])
    gain, slope = bench.gain(decides["arm"], of), bench.slope(of)
    interval, more = gain.interval(level), more_reals(gain, slope, reals, level)
    alone = bench.gain_over_reals(of).interval(level)
    # both must be beaten, so no correction for two comparisons is needed (Berger 1982, intersection-union test)
    helps = "yes" if min(interval.low, alone.low) > 0 else "harms" if interval.high < 0 else "no"
    rows = {
        name: {
            "accuracy": _share(bench.accuracy(name, of), level),
            "gain": None if name == decides["against"] else _record(bench.gain(name, of).interval(level)),
        }
        for name in plan["arms"]
    }
    lines = [
        {
            "class": name,
            "train": plan["train"][i],
            "unseen": plan["unseen"][i],
            "accuracy": _share(bench.accuracy(decides["against"], name), level),
            "gain": _record(bench.gain(decides["arm"], name).interval(level)),
        }
        for i, name in enumerate(plan["classes"])
    ]
    fewest = int(np.argmin(plan["train"]))
    return {
        "helps": helps,
        "gain": _record(interval),
        "gain_over_reals": _record(alone),
        "more_reals": _record(more) if more and helps == "yes" else None,
        "per_doubling": _record(slope.interval(level)),
        "sentence": english(_sentence(plan, helps, interval, more, alone)),
        "arms": rows,
        "classes": lines,
        "rarest": fewest if plan["train"][fewest] < RARE * np.mean(plan["train"]) else None,
    }


def _sentence(plan: Plan, helps: str, gain: Interval, more: Interval | None, alone: Interval) -> Message:
    decides, reals = plan["decides"], sum(plan["train"])
    of = decides["of"]
    values: dict[str, Any] = {
        "ratio": plan["arms"][decides["arm"]]["ratio"],
        "value": 100 * gain.value,
        "low": 100 * gain.low,
        "high": 100 * gain.high,
        "of": Message("measure.worth_of_all") if of is None else Message("measure.worth_of_class", name=of),
    }
    if helps == "no" and gain.low > 0:
        ends = {name: 100 * end for name, end in vars(alone).items()}
        return Message("measure.worth_not_over_reals", ratio=values["ratio"], of=values["of"], **ends)
    if helps == "no":
        return Message("measure.worth_no_help", **values, how=augmentation(plan["flips"]))
    if helps == "harms":
        losses = {"loss": -values["value"], "loss_low": -values["high"], "loss_high": -values["low"]}
        return Message("measure.worth_harms", ratio=values["ratio"], of=values["of"], **losses)
    if more is None:
        return Message("measure.worth_helps", **values)
    most = reals * (2**MOST_DOUBLINGS - 1)
    high: Any = Message("measure.worth_or_more", number=_rough(most)) if more.high >= most else _rough(more.high)
    return Message(
        "measure.worth_helps_more", **values, more=_rough(more.value), more_low=_rough(more.low), more_high=high
    )


def augmentation(flips: bool) -> Message:
    """The name of the augmentation of all arms but one."""
    return Message("measure.worth_flips_and_crops") if flips else Message("measure.worth_crops")


def _rough(number: float) -> int:
    """A number of pictures, to two digits."""
    return int(float(f"{number:.2g}"))


def _share(accuracy: Resampled, level: float) -> JsonObject:
    """A share of pictures with its interval, which a symmetric one would leave near 0 and 1."""
    interval = accuracy.interval(level)
    return _record(Interval(interval.value, max(interval.low, 0.0), min(interval.high, 1.0)))


def _record(interval: Interval) -> JsonObject:
    return {key: round_to(value) for key, value in vars(interval).items()}
