"""The verdict on two models: p-values corrected for the number of scores, and whether both judges agree.

Two judges: the first one's leading score compares features of a network, the second one's compares features that
nothing was trained for. A model is better where both find it better. The other scores inform: they say in what.

Many scores find a difference by chance. So the p-values are Holm's in his weighted form (Holm 1979, section 4): each
judge has twice the weight of all other scores together. Among comparisons of equal models at most 5 % have a score
with a false "better" in any row, however the scores depend on each other. The weights keep the judges sharp: both
judges together lose little to the others' number, and a difference in another score alone must be plain.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulacra.measure.score_records import Difference, Verdict, english
from simulacra.messages import Message

LEVEL = 0.05  # of the corrected p-values
JUDGE = 2.0  # the weight of a judge; the other scores share 1


def corrected(p_values: Mapping[str, float], judges: list[str]) -> dict[str, float]:
    """p-values by score, corrected for their number: at most `LEVEL` is significant."""
    others = len(p_values) - len(judges)
    weights = {name: JUDGE if name in judges else 1 / others for name in p_values}
    left, highest, values = sum(weights.values()), 0.0, {}
    for name in sorted(p_values, key=lambda name: p_values[name] / weights[name]):
        highest = max(highest, min(1.0, p_values[name] * max(1.0, left / weights[name])))
        values[name] = highest
        left -= weights[name]
    return {name: values[name] for name in p_values}


def verdict(scores: Mapping[str, Difference], first: str, second: str | None, names: Mapping[str, str]) -> Verdict:
    """Which model is better by both judges. first, second: names of their scores. names: of the models a and b."""
    one, other = scores[first]["better"], scores[second]["better"] if second else None
    titles = {key: f"{key} ({name})" for key, name in names.items()}
    record: Any = {"better": one if second is None or one == other else None}
    record["agree"] = None if second is None else one == other
    record["sentence"] = english(_sentence(one, other, first, second, titles))
    whole: Verdict = record
    return whole


def contradictory(scores: Mapping[str, Difference], first: str, second: str | None) -> bool:
    """Whether each judge finds another model better."""
    return second is not None and {scores[first]["better"], scores[second]["better"]} == {"a", "b"}


def _sentence(one: str | None, other: str | None, first: str, second: str | None, titles: Mapping[str, str]) -> Message:
    if second is None:
        return (
            Message("measure.better_by_one", model=titles[one], score=first)
            if one
            else Message("measure.none_better_by_one", score=first)
        )
    if one == other:
        values = {"score": first, "other": second}
        return (
            Message("measure.better_by_both", model=titles[one], **values)
            if one
            else Message("measure.none_better", **values)
        )
    if one and other:
        return Message("measure.judges_contradict", model=titles[one], score=first, rival=titles[other], other=second)
    if one:
        return Message("measure.better_by_first_alone", model=titles[one], score=first, other=second)
    assert other
    return Message("measure.better_by_second_alone", model=titles[other], score=second, other=first)
