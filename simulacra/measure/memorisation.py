"""The metric `memorisation`: whether fakes are copies of training pictures, judged by real pictures held out of training.

Pictures are compared as thumbnails, not by a network's features. Measured on `peeps`: noise of 2.5 grey levels moves
the features of a copy five times further from its original than held-out pictures lie (none of 150 copies was found,
at either layer). In thumbnails, copies with four times that noise, blurred by a pixel or brightened by 5 %, are all
found. A copy moved by more than a pixel at 64 px, or mirrored, is not: where training mirrors its pictures, compare
with mirrored ones as well.

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
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from simulacra.errors import SimulacraError
from simulacra.measure.distances import Floats, blocks, checked, euclidean
from simulacra.measure.intervals import Interval, share
from simulacra.measure.metrics import Metric
from simulacra.measure.model_under_test import subsample
from simulacra.measure.score_records import english
from simulacra.measure.scores import Score, round_to
from simulacra.messages import Message, text

if TYPE_CHECKING:
    from simulacra.measure.context import DrawContext, Outcome

SIDE = 16  # of a thumbnail
OTHERS = 50  # training pictures that the nearest one is compared with
NEAR = 0.05  # the share of held-out pictures that counts as near
ALARM = 5e-3  # false alarms, where fakes are as near as held-out pictures
NOTABLE = 1.5  # times as many near fakes as expected before it is called copying
SHOWN = 20
TRAINING = 20_000  # training pictures that are compared with, at most

CopyVerdict = Literal["copying", "no sign", "cannot tell"]


@dataclass(frozen=True, kw_only=True)
class Near:
    """A fake and its nearest training picture."""

    fake: int
    train: int
    distance: float
    nearness: float  # the distance over the mean distance to the next nearest training pictures
    quantile: float | None  # the share of held-out pictures that are at least as near


@dataclass(frozen=True, kw_only=True)
class Memorisation:
    """The outcome. Where the verdict is "cannot tell", numbers that need held-out pictures are None."""

    verdict: CopyVerdict
    sentence: Message
    fakes: int  # pictures
    near: Interval | None  # the share of fakes that are as near as the nearest 5 % of held-out pictures
    expected: float  # that share without copying
    p: float | None  # probability of so large a share without copying
    z: float | None  # Mann-Whitney: below -3, fakes as a whole are nearer than held-out pictures
    detectable: float | None  # the smallest share that would raise the alarm with as many pictures
    nearest: tuple[Near, ...]  # the nearest first


def thumbnails(batches: Iterable[Tensor]) -> NDArray[np.float32]:
    """Batches of pictures [n, C, H, W] in [-1, 1] -> [N, 256 C]; their distances are RMS differences in grey levels."""
    rows = [interpolate(pictures, (SIDE, SIDE), mode="area").flatten(1).cpu() for pictures in batches]
    if not rows:
        raise SimulacraError("measure.no_thumbnails")
    joined = torch.cat(rows)
    scaled: NDArray[np.float32] = (joined * (127.5 / joined.shape[1] ** 0.5)).numpy()
    return scaled


def find_copies(
    fake: NDArray[Any], train: NDArray[Any], held_out: NDArray[Any] | None, *, shown: int = SHOWN
) -> Memorisation:
    """Whether `fake` [N, D] holds copies of `train` [M, D], judged by `held_out` [K, D] or None; all `thumbnails`.

    The alarm is exact: with K held-out pictures the number of fakes below the r-th nearest of them, r = 5 % of K, is
    beta-binomial if fakes are as near as held-out pictures are; it says "copying" where a number so large has p < 0.005
    and is 1.5 times the 5 % expected. Poor fakes are far from everything and leave room below 5 %: copies in up to 5 %
    of such fakes raise no alarm, but lead the table. Fewer than 19 held-out pictures: "cannot tell".

    z is the test of Meehan et al. 2020, "A Non-Parametric Test to Detect Data-Copying in Generative Models", on
    nearness and without its cells.
    """
    originals = checked(train, Message("measure.set_training"), least=0)
    fakes = checked(fake, Message("measure.set_fakes"), least=1, like=originals)
    empty = np.empty((0, originals.shape[1]))
    unseen = checked(empty if held_out is None else held_out, Message("measure.set_held_out"), least=0, like=originals)
    if len(originals) < 3:
        return _cannot_tell(Message("measure.copies_few_training", number=len(originals)), len(fakes), ())
    index, distance, nearness = _nearest(fakes, originals)
    null = np.sort(_nearest(unseen, originals)[2])
    order = np.argsort(nearness, kind="stable")[:shown]
    below = np.searchsorted(null, nearness[order], side="right") / max(1, len(null))
    table = tuple(
        Near(
            fake=int(row),
            train=int(index[row]),
            distance=float(distance[row]),
            nearness=float(nearness[row]),
            quantile=float(part) if len(null) else None,
        )
        for row, part in zip(order, below, strict=True)
    )
    rank = int(NEAR * (len(null) + 1))
    if not rank:
        return _cannot_tell(
            Message("measure.copies_few_held_out", number=len(null), least=round(1 / NEAR) - 1), len(fakes), table
        )
    if not null[rank - 1]:
        return _cannot_tell(Message("measure.copies_held_out_twice"), len(fakes), table)
    return _verdict(nearness, null, rank, table)


def _verdict(nearness: Floats, null: Floats, rank: int, table: tuple[Near, ...]) -> Memorisation:
    near = nearness < null[rank - 1]
    expected = rank / (len(null) + 1)
    tail = at_least(len(nearness), rank, len(null))
    alarming = (tail < ALARM) & (np.arange(len(tail)) >= NOTABLE * expected * len(nearness))
    copying = bool(alarming[near.sum()])
    detectable = float(np.argmax(alarming) / len(nearness)) if alarming.any() else None
    values = {"near": int(near.sum()), "fakes": len(nearness), "expected": expected, "held_out": len(null)}
    if copying:
        sentence = Message("measure.copying", **values)
    elif detectable is None:
        sentence = Message("measure.no_copying", **values)
    else:
        sentence = Message("measure.no_copying_above", **values, detectable=detectable)
    return Memorisation(
        verdict="copying" if copying else "no sign",
        sentence=sentence,
        fakes=len(nearness),
        near=share(near),
        expected=expected,
        p=float(tail[near.sum()]),
        z=mann_whitney(nearness, null),
        detectable=detectable,
        nearest=table,
    )


def _cannot_tell(sentence: Message, fakes: int, table: tuple[Near, ...]) -> Memorisation:
    return Memorisation(
        verdict="cannot tell",
        sentence=sentence,
        fakes=fakes,
        near=None,
        expected=NEAR,
        p=None,
        z=None,
        detectable=None,
        nearest=table,
    )


def _nearest(pictures: Floats, train: Floats) -> tuple[NDArray[np.int64], Floats, Floats]:
    """The nearest training picture of each picture, its distance, and the nearness (1 where all are equally far)."""
    others = min(OTHERS, len(train) - 1)
    centre = train.mean(0)
    index, distance, nearness = np.zeros(len(pictures), np.int64), np.empty(len(pictures)), np.empty(len(pictures))
    for rows, values in blocks(pictures - centre, train - centre, euclidean):
        index[rows] = values.argmin(1)
        closest = np.sort(np.partition(values, others, axis=1)[:, : others + 1], axis=1)
        mean = closest[:, 1:].mean(1)
        distance[rows] = closest[:, 0]
        nearness[rows] = np.divide(closest[:, 0], mean, out=np.ones(len(mean)), where=mean > 0)
    return index, distance, nearness


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


def mann_whitney(x: Floats, y: Floats) -> float:
    """z of Mann-Whitney's U of `x` against `y`, ties shared: negative where x is smaller, 0 where all are equal."""
    values, which, times = np.unique(np.concatenate([x, y]), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(times) - (times - 1) / 2)[which]
    n, m = len(x), len(y)
    u = ranks[:n].sum() - n * (n + 1) / 2
    total = n + m
    variance = n * m / 12 * (total + 1 - (times**3 - times).sum() / (total * (total - 1)))
    return float((u - n * m / 2) / variance**0.5) if len(values) > 1 else 0.0


def copy_scores(
    fakes: Iterable[Tensor], train: Iterable[Tensor], unseen: Iterable[Tensor] | None, *, mirrored: bool = False
) -> Outcome:
    """Scores by name, and the entries `memorisation`, `nearest` and perhaps `warnings` of a certificate.

    Each set is batches [n, C, H, W] in [-1, 1], read once. `unseen`: real pictures that were held out of training, or
    None. `mirrored`: whether training mirrored its pictures. An entry of `nearest` names its pictures by their place in
    `fakes` and `train`. Whoever calls it subsamples: at most `TRAINING` training pictures are sensible.
    """
    originals = thumbnails(train)
    rows = len(originals)
    if mirrored:
        side = originals.reshape(rows, -1, SIDE, SIDE)
        originals = np.concatenate([originals, side[..., ::-1].reshape(rows, -1)])
    held_out = thumbnails(unseen) if unseen is not None else None
    outcome = find_copies(thumbnails(fakes), originals, held_out)
    nearest = [
        {"fake": near.fake, "train": near.train % rows, "mirrored": near.train >= rows}
        | {key: round_to(getattr(near, key)) for key in ("distance", "nearness", "quantile")}
        for near in outcome.nearest
    ]
    sentence = english(outcome.sentence)
    record = {"verdict": outcome.verdict, "sentence": sentence, "p": outcome.p, "z": outcome.z}
    record |= {"detectable": outcome.detectable, "training_pictures": rows}
    entries: dict[str, Any] = {"memorisation": {key: round_to(value) for key, value in record.items()}}
    entries["nearest"] = nearest
    if outcome.verdict != "no sign":
        entries["warnings"] = [sentence]
    if outcome.near is None:
        return {}, entries
    score = Score(
        **vars(outcome.near),
        n=outcome.fakes,
        n_real=rows,
        better="",
        what=Message("measure.what_memorisation"),
        floor=outcome.expected,
        n_floor=len(held_out) if held_out is not None else None,
    )
    return {f"memorisation-thumbnails-{SIDE}": score}, entries


def memorisation(context: DrawContext) -> Outcome:
    """Whether fakes are copies of training pictures, and the nearest pairs."""
    data = context.data
    train = subsample(len(data.split("train")), TRAINING)
    parts = [part for part in ("valid", "test") if data.has(part)]
    scores, entries = copy_scores(
        context.drawn_pictures(text("measure.progress_copies")),
        context.pictures("train", train),
        chain.from_iterable(context.pictures(part) for part in parts) if parts else None,
        mirrored=context.mirrored,
    )
    entries["nearest"] = [
        {"seed": context.seeds[near["fake"]]} | near | {"train": int(train[near["train"]])}
        for near in entries["nearest"]
    ]
    return scores, entries


METRICS = (
    Metric(name="memorisation", better="", what="measure.what_memorisation", tasks=("draw",), compute=memorisation),
)
