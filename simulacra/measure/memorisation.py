"""The metric `memorisation`: whether fakes are copies of training pictures, judged by real pictures held out of training.

Pictures are compared as thumbnails (`aligned_search`), not by a network's features. Measured on `peeps`: noise of 2.5
grey levels moves the features of a copy five times further from its original than held-out pictures lie (none of 150
copies was found, at either layer). `benchmarks/copies.py` measures which copies are found.

Nearness is relative: the distance to the nearest training picture over the mean distance to the next 50 (as in
Carlini et al. 2023, "Extracting Training Data from Diffusion Models", section 5). So a blurred or plain picture, which
is near to everything, does not count as a copy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from torch import Tensor

from simulacra.errors import SimulacraError
from simulacra.measure.aligned_search import AlignedSearch, Nearest, thumbnails
from simulacra.measure.data_copying import c_t_of, mann_whitney
from simulacra.measure.distances import Floats
from simulacra.measure.intervals import Interval, Resampled, share
from simulacra.measure.metrics import Metric
from simulacra.measure.model_under_test import subsample
from simulacra.measure.score_records import english
from simulacra.measure.scores import ResampledScore, Score, round_to
from simulacra.messages import Message, text

if TYPE_CHECKING:
    from simulacra.measure.context import DrawContext, Outcome

NEAR = (0.05, 0.01)  # the shares of held-out pictures that count as near
LEAST_UNSEEN = 19  # held-out pictures, so that one of them is 5 %
ALARM = 5e-3  # false alarms, where fakes are as near as held-out pictures
NOTABLE = 1.5  # times as many near fakes as expected before it is called copying
SHOWN = 20
TRAINING = 20_000  # training pictures that are compared with, at most
UNSEEN = 5000  # held-out pictures at most
SPACE = "thumbnails-aligned"  # in the names of scores

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


def find_copies(fake: Tensor, train: Tensor, held_out: Tensor | None, *, shown: int = SHOWN) -> Memorisation:
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
    return judge(fakes.nearness, unseen.nearness, nearest=table, c_t=c_t_of(search.windows, fakes, unseen))


def judge(
    fakes: Floats, unseen: Floats, *, nearest: tuple[Near, ...] = (), c_t: Resampled | None = None
) -> Memorisation:
    """The verdict from the nearness of fakes [N] and of at least 19 held-out pictures [K].

    The alarm is exact: with K held-out pictures the number of fakes below the r-th nearest of them is beta-binomial if
    fakes are as near as held-out pictures are. It is raised at 5 % or 1 % of K, where a number so large has p < 0.0025
    and is 1.5 times the number expected: false alarms have a chance of at most 0.005. Poor fakes are far from
    everything and leave room below 5 %: a few copies among such fakes raise no alarm, but lead the table.
    """
    null = np.sort(unseen)
    ranks = sorted({max(1, int(near * (len(null) + 1))) for near in NEAR}, reverse=True)
    levels = [_level(fakes, null, rank, ALARM / len(ranks)) for rank in ranks]
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


def copy_scores(fakes: Iterable[Tensor], train: Iterable[Tensor], unseen: Iterable[Tensor] | None) -> Outcome:
    """Scores by name, and the entries `memorisation`, `nearest` and perhaps `warnings` of a certificate.

    Each set is batches [n, C, H, W] in [-1, 1], read once. `unseen`: real pictures that were held out of training, or
    None. An entry of `nearest` names its pictures by their place in `fakes` and `train`; `shift` aligns the fake, down
    and right, as a share of the side. Whoever calls it subsamples: `TRAINING` and `UNSEEN` are sensible, and cost about
    1 ms a fake at most.
    """
    originals = thumbnails(train)
    outcome = find_copies(thumbnails(fakes), originals, thumbnails(unseen) if unseen is not None else None)
    sentence = english(outcome.sentence)
    record = {"verdict": outcome.verdict, "sentence": sentence, "p": outcome.p, "z": outcome.z}
    record |= {"detectable": outcome.detectable, "training_pictures": len(originals), "held_out": outcome.held_out}
    record |= {key: outcome.sentence.values[key] for key in ("near", "expected") if key in outcome.sentence.values}
    entries: dict[str, Any] = {"memorisation": {key: round_to(value) for key, value in record.items()}}
    entries["nearest"] = [
        {key: round_to(value) for key, value in vars(near).items()} | {"shift": [round_to(part) for part in near.shift]}
        for near in outcome.nearest
    ]
    if outcome.verdict != "no sign":
        entries["warnings"] = [sentence]
    terms: dict[str, Any] = {"n": outcome.fakes, "n_real": len(originals), "better": ""}
    scores: dict[str, Score | ResampledScore] = {}
    if outcome.near is not None:
        scores[f"memorisation-{SPACE}"] = Score(
            **vars(outcome.near),
            **terms,
            what=Message("measure.what_memorisation"),
            floor=outcome.expected,
            n_floor=outcome.held_out,
        )
    if outcome.c_t is not None:
        scores[f"ct-{SPACE}"] = Score(
            **vars(outcome.c_t.interval()),
            **terms,
            what=Message("measure.what_ct"),
            floor=0.0,
            n_floor=outcome.held_out,
        )
    return scores, entries


def memorisation(context: DrawContext) -> Outcome:
    """Whether fakes are copies of training pictures, the nearest pairs, and the data-copying test."""
    data = context.data
    train = subsample(len(data.split("train")), TRAINING)
    parts = [part for part in ("valid", "test") if data.has(part)]
    rows = [subsample(len(data.split(part)), UNSEEN // len(parts)) for part in parts]
    scores, entries = copy_scores(
        context.drawn_pictures(text("measure.progress_copies")),
        context.pictures("train", train),
        chain.from_iterable(map(context.pictures, parts, rows)) if parts else None,
    )
    entries["nearest"] = [
        {"seed": context.seeds[near["fake"]]}
        | {key: int(train[value]) if key == "train" else value for key, value in near.items() if key != "fake"}
        for near in entries["nearest"]
    ]
    return scores, entries


METRICS = (
    Metric(name="memorisation", better="", what="measure.what_memorisation", tasks=("draw",), compute=memorisation),
    Metric(
        name="ct",
        word="memorisation",
        better="",
        what="measure.what_ct",
        tasks=("draw",),
        compute=memorisation,
    ),
)
