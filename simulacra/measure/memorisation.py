"""Is the generator copying? Fakes' nearness to training pictures, against that of real pictures it never saw.

The pictures are compared as thumbnails, not as a network's features. Measured on `peeps`: noise of 2.5 grey levels
moves a copy's features five times further from its original than held-out pictures lie (none of 150 copies was
found, at either layer), while in thumbnails copies with four times that noise, blurred by a pixel or brightened by
5 % are all found. A copy moved by more than a pixel at 64 px, or mirrored, is not: give the training pictures
mirrored as well where training mirrored them.

Nearness is relative: the distance to the nearest training picture over the mean distance to the next 50 (as
Carlini et al. 2023, "Extracting Training Data from Diffusion Models", section 5). A blurred or plain picture, which
is near to everything, is then no copy, nor is one of a crowded kind.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from simulacra.errors import SimulacraError
from simulacra.measure.distances import Floats, blocks, checked, euclidean
from simulacra.measure.intervals import Interval, share

SIDE = 16  # of a thumbnail
OTHERS = 50  # training pictures that the nearest one is compared with
NEAR = 0.05  # the share of held-out pictures that counts as near
ALARM = 5e-3  # false alarms, where fakes are as near as held-out pictures
NOTABLE = 1.5  # times as many near fakes as expected before it is called copying
SHOWN = 20

Verdict = Literal["copying", "no sign", "cannot tell"]


@dataclass(frozen=True, kw_only=True)
class Near:
    """A fake and the training picture it is nearest to."""

    fake: int
    train: int
    distance: float
    nearness: float  # the distance over the mean distance to the next nearest training pictures
    quantile: float | None  # the share of held-out pictures that are at least as near


@dataclass(frozen=True, kw_only=True)
class Memorisation:
    """What was found. Where the verdict is "cannot tell", numbers that would need held-out pictures are None."""

    verdict: Verdict
    sentence: str
    near: Interval | None  # the share of fakes that are as near as the nearest 5 % of held-out pictures
    expected: float  # what that share is without copying
    p: float | None  # how often a share so large comes about without copying
    z: float | None  # Mann-Whitney: below -3, fakes as a whole are nearer than held-out pictures
    detectable: float | None  # the smallest share that would raise the alarm with so many pictures
    nearest: tuple[Near, ...]  # the nearest first


def thumbnails(batches: Iterable[Tensor]) -> NDArray[np.float32]:
    """Pictures [n, C, H, W] in [-1, 1] in batches -> [N, 256 C]; distances between are RMS differences in grey levels."""
    made = [interpolate(pictures, (SIDE, SIDE), mode="area").flatten(1).cpu() for pictures in batches]
    if not made:
        raise SimulacraError("There is no picture to make a thumbnail of.")
    joined = torch.cat(made)
    found: NDArray[np.float32] = (joined * (127.5 / joined.shape[1] ** 0.5)).numpy()
    return found


def memorisation(
    fake: NDArray[Any], train: NDArray[Any], held_out: NDArray[Any] | None, *, shown: int = SHOWN
) -> Memorisation:
    """Whether `fake` [N, D] holds copies of `train` [M, D], judged by `held_out` [K, D] or None; all `thumbnails`.

    The alarm is exact: with K held-out pictures the number of fakes below the r-th nearest of them, r = 5 % of K, is
    beta-binomial if fakes are as near as held-out pictures are; it says "copying" where a number so large has p < 0.005
    and is 1.5 times the 5 % expected. Fakes that are poor are far from everything and leave room below 5 %: copies in up to
    5 % of such fakes raise no alarm, but lead the table. Fewer than 19 held-out pictures: "cannot tell".

    z is the test of Meehan et al. 2020, "A Non-Parametric Test to Detect Data-Copying in Generative Models", on
    nearness and without its cells.
    """
    taken = checked(train, "training pictures", least=0)
    fakes = checked(fake, "fakes", least=1, like=taken)
    others = checked(
        np.empty((0, taken.shape[1])) if held_out is None else held_out, "held-out pictures", least=0, like=taken
    )
    if len(taken) < 3:
        return _cannot_tell(f"copies cannot be told from new pictures with only {len(taken)} training pictures", ())
    who, distance, nearness = _nearest(fakes, taken)
    null = np.sort(_nearest(others, taken)[2])
    order = np.argsort(nearness, kind="stable")[:shown]
    below = np.searchsorted(null, nearness[order], side="right") / max(1, len(null))
    table = tuple(
        Near(
            fake=int(index),
            train=int(who[index]),
            distance=float(distance[index]),
            nearness=float(nearness[index]),
            quantile=float(part) if len(null) else None,
        )
        for index, part in zip(order, below, strict=True)
    )
    rank = int(NEAR * (len(null) + 1))
    if not rank:
        return _cannot_tell(
            f"there are {len(null)} held-out pictures and copies can be told from new pictures only with "
            f"{round(1 / NEAR) - 1} or more: prepare the data with a valid or test part",
            table,
        )
    if not null[rank - 1]:
        return _cannot_tell(
            "more than 5 % of the held-out pictures are training pictures too: remove duplicates and prepare them again",
            table,
        )
    return _judged(nearness, null, rank, table)


def _judged(nearness: Floats, null: Floats, rank: int, table: tuple[Near, ...]) -> Memorisation:
    near = nearness < null[rank - 1]
    found, expected = share(near), rank / (len(null) + 1)
    tail = at_least(len(nearness), rank, len(null))
    alarming = (tail < ALARM) & (np.arange(len(tail)) >= NOTABLE * expected * len(nearness))
    copying = bool(alarming[near.sum()])
    detectable = float(np.argmax(alarming) / len(nearness)) if alarming.any() else None
    counted = (
        f"{near.sum()} of {len(nearness)} fakes are nearer to a training picture than all but the nearest "
        f"{expected:.1%} of {len(null)} held-out pictures"
    )
    if copying:
        sentence = f"The generator is copying training pictures: {counted}; look at the nearest pairs."
    else:
        reach = "No share" if detectable is None else f"A share of {detectable:.1%}"
        sentence = f"No sign of copying: {counted}. {reach} would have raised the alarm."
    return Memorisation(
        verdict="copying" if copying else "no sign",
        sentence=sentence,
        near=found,
        expected=expected,
        p=float(tail[near.sum()]),
        z=mann_whitney(nearness, null),
        detectable=detectable,
        nearest=table,
    )


def _cannot_tell(why: str, table: tuple[Near, ...]) -> Memorisation:
    return Memorisation(
        verdict="cannot tell",
        sentence=f"It cannot be told whether the generator copies: {why}.",
        near=None,
        expected=NEAR,
        p=None,
        z=None,
        detectable=None,
        nearest=table,
    )


def _nearest(pictures: Floats, train: Floats) -> tuple[NDArray[np.int64], Floats, Floats]:
    """For each picture its nearest training picture, the distance, and the nearness (1 where all are equally far)."""
    others = min(OTHERS, len(train) - 1)
    centre = train.mean(0)
    who, distance, nearness = np.zeros(len(pictures), np.int64), np.empty(len(pictures)), np.empty(len(pictures))
    for rows, values in blocks(pictures - centre, train - centre, euclidean):
        who[rows] = values.argmin(1)
        closest = np.sort(np.partition(values, others, axis=1)[:, : others + 1], axis=1)
        mean = closest[:, 1:].mean(1)
        distance[rows] = closest[:, 0]
        nearness[rows] = np.divide(closest[:, 0], mean, out=np.ones(len(mean)), where=mean > 0)
    return who, distance, nearness


def at_least(n: int, rank: int, held_out: int) -> Floats:
    """[n + 1]: the chance that c or more of `n` draws lie below the `rank`-th smallest of `held_out` from the same source.

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
    """z of Mann-Whitney's U of `x` against `y`, ties shared: negative where x is the smaller; 0 where all are one value."""
    values, which, times = np.unique(np.concatenate([x, y]), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(times) - (times - 1) / 2)[which]
    n, m = len(x), len(y)
    u = ranks[:n].sum() - n * (n + 1) / 2
    total = n + m
    variance = n * m / 12 * (total + 1 - (times**3 - times).sum() / (total * (total - 1)))
    return float((u - n * m / 2) / variance**0.5) if len(values) > 1 else 0.0
