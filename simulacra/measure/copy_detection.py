"""Whether fakes are copies: how near they come to training pictures, judged by how near held-out pictures come.

Nearness is relative: the distance to the nearest training picture over the mean distance to the next 50 (as in
Carlini et al. 2023, "Extracting Training Data from Diffusion Models", section 5). So a blurred or plain picture, which
is near to everything, does not count as a copy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from simulacra.errors import SimulacraError
from simulacra.measure.aligned_search import AlignedSearch, Nearest
from simulacra.measure.data_copying import c_t_of, mann_whitney
from simulacra.measure.distances import Floats
from simulacra.measure.intervals import Interval, Resampled, share
from simulacra.messages import Message

NEAR = (0.05, 0.01)  # the shares of held-out pictures that count as near
LEAST_UNSEEN = 19  # held-out pictures, so that one of them is 5 %
ALARM = 5e-3  # false alarms, where fakes are as near as held-out pictures
NOTABLE = 1.5  # times as many near fakes as expected before it is called copying
SHOWN = 20

CopyVerdict = Literal["copying", "no sign", "cannot tell"]


@dataclass(frozen=True, kw_only=True)
class Near:
    """A fake and its nearest training picture."""

    fake: int
    train: int
    distance: float
    nearness: float  # the distance over the mean distance to the next nearest training pictures
    quantile: float | None  # the share of held-out pictures that are at least as near
    mirrored: bool
    shift: tuple[float, float]  # that aligns the fake, down and right, as a share of the side


@dataclass(frozen=True, kw_only=True)
class Level:
    """How many fakes are nearer to a training picture than all but a share of the held-out pictures."""

    hits: Floats  # [N] 1 where a fake is
    expected: float  # the share without copying
    p: float  # the probability of so many hits without copying
    alarming: bool
    detectable: float | None  # the smallest share of hits that would be alarming


@dataclass(frozen=True, kw_only=True)
class Memorisation:
    """The outcome. Where the verdict is "cannot tell", numbers that need held-out pictures are None."""

    verdict: CopyVerdict
    sentence: Message
    fakes: int  # pictures
    held_out: int
    near: Interval | None = None  # the share of fakes that are as near as the nearest 5 % of held-out pictures
    expected: float | None = None  # that share without copying
    p: float | None = None  # probability of so many near fakes without copying, at most
    z: float | None = None  # Mann-Whitney: below -3, fakes as a whole are nearer than held-out pictures
    detectable: float | None = None  # the smallest share of copies that would raise the alarm with as many pictures
    c_t: Resampled | None = None  # of the data-copying test
    nearest: tuple[Near, ...] = ()  # the nearest first
    with_attributes: Literal["", "train", "held out"] = ""  # of which pictures the fakes of `nearest` were drawn

    @property
    def statement(self) -> Message:
        """The sentence, and which attributes the fakes had."""
        if self.with_attributes != "held out":
            return self.sentence
        return Message("measure.copies_attributes", outcome=self.sentence)


def find_copies(
    fake: Tensor, train: Tensor, held_out: Tensor | None, *, shown: int = SHOWN, alarm: float = ALARM
) -> Memorisation:
    """Whether `fake` holds copies of `train`, judged by `held_out`; all `thumbnails` [N, C, 32, 32].

    Raises `SimulacraError` where their channels differ.
    """
    for pictures in (fake, held_out):
        if pictures is not None and pictures.shape[1:] != train.shape[1:]:
            raise SimulacraError(
                "measure.feature_widths",
                name=Message("measure.set_fakes" if pictures is fake else "measure.set_held_out"),
                width=pictures[0].numel(),
                other=train[0].numel(),
            )
    number = 0 if held_out is None else len(held_out)
    if len(train) < 3:
        few = Message("measure.copies_few_training", number=len(train))
        return Memorisation(verdict="cannot tell", sentence=few, fakes=len(fake), held_out=number)
    search = AlignedSearch(train)
    fakes = search.nearest(fake)
    unseen = search.nearest(held_out) if held_out is not None and number else None
    table = _table(fakes, unseen, shown)
    if unseen is None or number < LEAST_UNSEEN:
        few = Message("measure.copies_few_held_out", number=number, least=LEAST_UNSEEN)
        return Memorisation(verdict="cannot tell", sentence=few, fakes=len(fake), held_out=number, nearest=table)
    if not np.sort(unseen.nearness)[int(NEAR[0] * (number + 1)) - 1]:
        twice = Message("measure.copies_held_out_twice")
        return Memorisation(verdict="cannot tell", sentence=twice, fakes=len(fake), held_out=number, nearest=table)
    c_t = c_t_of(search.windows, fakes, unseen)
    return judge(fakes.nearness, unseen.nearness, nearest=table, c_t=c_t, alarm=alarm)


def find_copies_by_attributes(
    like_train: Tensor, like_held_out: Tensor, train: Tensor, held_out: Tensor, *, shown: int = SHOWN
) -> Memorisation:
    """Whether a generator copies that is conditional on attributes, which may describe a picture completely.

    A fake with the attributes of a training picture may rightly be that picture. So two tests, with half of the false
    alarms each: fakes drawn with the attributes of held-out pictures are compared as any (`find_copies`); and those with
    the attributes of training pictures must not come nearer to real pictures, training and held-out ones together, than
    those with the attributes of held-out pictures do. A generator that has learned what attributes mean passes both;
    one that has learned pictures by heart with their attributes fails the second.

    like_train, like_held_out: fakes with the attributes of training pictures, and of held-out ones. All are `thumbnails`
    [N, C, 32, 32].
    """
    first = find_copies(like_held_out, train, held_out, shown=shown, alarm=ALARM / 2)
    first = replace(first, with_attributes="held out")
    if first.verdict != "no sign":
        return first
    both = AlignedSearch(torch.cat([train, held_out]))
    learned, unlearned = both.nearest(like_train).nearness, both.nearest(like_held_out).nearness
    second = judge(learned, unlearned, alarm=ALARM / 2)
    assert first.p is not None
    assert second.p is not None
    p = min(1.0, 2 * min(first.p, second.p))
    if second.verdict == "no sign":
        return replace(first, p=p)
    search = AlignedSearch(train)
    table = _table(search.nearest(like_train), search.nearest(held_out), shown)
    sentence = Message("measure.copying_by_attributes", **second.sentence.values)
    return replace(second, sentence=sentence, p=p, c_t=first.c_t, nearest=table, with_attributes="train")


def judge(
    fakes: Floats,
    unseen: Floats,
    *,
    nearest: tuple[Near, ...] = (),
    c_t: Resampled | None = None,
    alarm: float = ALARM,
) -> Memorisation:
    """The verdict from the nearness of fakes [N] and of at least 19 held-out pictures [K].

    The alarm is exact: with K held-out pictures the number of fakes below the r-th nearest of them is beta-binomial if
    fakes are as near as held-out pictures are. It is raised at 5 % or 1 % of K, where a number so large has a
    probability below half of `alarm` and is 1.5 times the number expected: false alarms have a chance of at most
    `alarm`. Poor fakes are far from everything and leave room below 5 %: a few copies among such fakes raise no alarm,
    but lead the table.
    """
    null = np.sort(unseen)
    ranks = sorted({max(1, int(near * (len(null) + 1))) for near in NEAR}, reverse=True)
    levels = [_level(fakes, null, rank, alarm / len(ranks)) for rank in ranks]
    alarming = [level for level in levels if level.alarming]
    able = [level for level in levels if level.detectable is not None]
    if alarming:
        level = min(alarming, key=lambda level: level.p)
    else:
        level = min(able, key=lambda level: level.detectable or 1, default=levels[0])
    values = {"near": int(level.hits.sum()), "fakes": len(fakes), "expected": level.expected, "held_out": len(null)}
    if alarming:
        sentence = Message("measure.copying", **values)
    elif level.detectable is None:
        sentence = Message("measure.no_copying", **values)
    else:
        sentence = Message("measure.no_copying_above", **values, detectable=level.detectable)
    return Memorisation(
        verdict="copying" if alarming else "no sign",
        sentence=sentence,
        fakes=len(fakes),
        held_out=len(null),
        near=share(levels[0].hits),
        expected=levels[0].expected,
        p=min(1.0, len(levels) * min(level.p for level in levels)),
        z=mann_whitney(fakes, null),
        detectable=min((level.detectable for level in levels if level.detectable is not None), default=None),
        c_t=c_t,
        nearest=nearest,
    )


def _level(fakes: Floats, null: Floats, rank: int, alarm: float) -> Level:
    hits = fakes < null[rank - 1]
    expected = rank / (len(null) + 1)
    tail = at_least(len(fakes), rank, len(null))
    alarming = (tail < alarm) & (np.arange(len(tail)) >= NOTABLE * expected * len(fakes))
    return Level(
        hits=hits.astype(float),
        expected=expected,
        p=float(tail[hits.sum()]),
        alarming=bool(alarming[hits.sum()]),
        detectable=float(np.argmax(alarming) / len(fakes)) if alarming.any() else None,
    )


def _table(fakes: Nearest, unseen: Nearest | None, shown: int) -> tuple[Near, ...]:
    """The nearest fakes, the nearest first."""
    null = np.sort(unseen.nearness) if unseen is not None else np.empty(0)
    order = np.argsort(fakes.nearness, kind="stable")[:shown]
    below = np.searchsorted(null, fakes.nearness[order], side="right") / max(1, len(null))
    return tuple(
        Near(
            fake=int(row),
            train=int(fakes.train[row]),
            distance=float(fakes.distance[row]),
            nearness=float(fakes.nearness[row]),
            quantile=float(part) if len(null) else None,
            mirrored=bool(fakes.mirrored[row]),
            shift=(float(fakes.shift[row, 0]), float(fakes.shift[row, 1])),
        )
        for row, part in zip(order, below, strict=True)
    )


def at_least(n: int, rank: int, held_out: int) -> Floats:
    """[n + 1]: the probability that c or more of `n` draws lie below the `rank`-th smallest of `held_out` of one source.

    The share below it is Beta(rank, held_out - rank + 1) whatever the source, the number beta-binomial.
    """
    factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + held_out + 1)))])  # log k!
    c = np.arange(n + 1)
    above = held_out - rank
    log = factorial[n] - factorial[c] - factorial[n - c]
    log += factorial[c + rank - 1] + factorial[n - c + above] - factorial[n + held_out]
    log -= factorial[rank - 1] + factorial[above] - factorial[held_out]
    tail: Floats = np.cumsum(np.exp(log)[::-1])[::-1]
    return np.minimum(tail, 1)
