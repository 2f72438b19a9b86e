"""How pictures compare with others, seen from afar: how much they differ, and whether they are like augmented ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from simulacra.augment import Augment
from simulacra.augment.ada import Adaptive
from simulacra.data.dataset import Dataset, Pair
from simulacra.data.feed import unpacked
from simulacra.gan import Batch

SIDE = 8  # pictures are compared as means over SIDE x SIDE areas: what they are of, not their grain
REALS, PART = 256, 64  # reals that previews are compared with, and how many are augmented at a time
FEWEST = 32  # with fewer, what they have in common is chance
NEAR = 0.5  # of the distance between reals and augmented reals: fakes further from both say nothing of either


def afar(pictures: Tensor) -> Tensor:
    """Pictures [N, C, H, W] as thumbnails [N, C·SIDE·SIDE]."""
    return adaptive_avg_pool2d(pictures.float().cpu(), SIDE).flatten(1).double()


def apart(one: Tensor, other: Tensor) -> Tensor:
    """The distances [N, M] between thumbnails."""
    return torch.cdist(one, other, compute_mode="donot_use_mm_for_euclid_dist")


def spread(pictures: Tensor, scale: float | None = None) -> tuple[float, float]:
    """(the mean distance between two of `pictures` [N, C, H, W], how many different ones they amount to).

    The latter is 1 / Σ λ² over the eigenvalues of exp(-d² / 2h²) / N, the Vendi score of order 2 (Pasarkar & Dieng
    2023): k when there are k kinds of one size, alike within and far apart between. h is a tenth of `scale`, the mean
    distance between reals (between these pictures, if not given): what is nearer passes for the same.
    """
    features = afar(pictures)
    distances = apart(features, features)
    n = len(features)
    mean = float(distances.sum()) / (n * (n - 1))
    width = (scale or mean) / 10
    alike = torch.exp(-((distances / width) ** 2) / 2) if width else torch.ones_like(distances)
    return mean, n * n / float(alike.square().sum())


class Leak:
    """Whether fakes are like reals or like augmented reals. What moves nothing but grain, as noise, it cannot see."""

    def __init__(self, data: Dataset, most: int) -> None:
        """data: training pictures. most: how many may be augmented at each look."""
        self.images = data.images[_chosen(data, min(REALS, most))]
        self.reals = torch.cat([afar(part) for part in self.parts(torch.device("cpu"))]) if len(self.images) else None

    def parts(self, device: torch.device) -> list[Tensor]:
        """The reals, some at a time."""
        return [unpacked(self.images[i : i + PART], device) for i in range(0, len(self.images), PART)]

    @torch.no_grad()
    def measures(self, augment: Augment, pictures: Tensor) -> dict[str, float]:
        """`leak`, 0 for fakes like reals and 1 for fakes like augmented reals, with its standard error; and `augment_p`.

        With E the energy distance (Székely & Rizzo 2013), in which distributions lie as points in a Euclidean space, it
        is where fakes F come to lie on the line from reals R to augmented reals A: (E(F,R) - E(F,A) + E(R,A)) / 2E(R,A).
        Left out where F is further from both than half of E(R,A), as it is until G has learned something.
        """
        found = {"augment_p": float(augment.p)} if isinstance(augment, Adaptive) else {}
        if type(augment) is Augment or self.reals is None or min(len(self.reals), len(pictures)) < FEWEST:
            return found
        torch.manual_seed(0)  # the next play seeds anew
        changed = torch.cat([afar(augment(part)) for part in self.parts(pictures.device)])
        fakes, reals = afar(pictures), self.reals
        to_reals, to_changed = apart(fakes, reals).mean(1), apart(fakes, changed).mean(1)  # [F]
        within = {name: _within(side) for name, side in (("F", fakes), ("R", reals), ("A", changed))}
        between = 2 * float(apart(reals, changed).mean()) - within["R"] - within["A"]
        from_reals = 2 * float(to_reals.mean()) - within["F"] - within["R"]
        from_changed = 2 * float(to_changed.mean()) - within["F"] - within["A"]
        if between <= 0 or min(from_reals, from_changed) > NEAR * between:
            return found
        error = float((to_reals - to_changed).std()) / len(fakes) ** 0.5 / between
        return found | {"leak": (from_reals - from_changed + between) / (2 * between), "leak_error": error}


def _within(features: Tensor) -> float:
    """The mean distance between two different ones."""
    n = len(features)
    return float(apart(features, features).sum()) / (n * (n - 1))


def some(data: Dataset | Pair, count: int, device: torch.device) -> Batch:
    """At most `count` pictures of a data set with their labels, always the same ones; of a pair as many of both domains."""
    if isinstance(data, Pair):
        count = min(count, len(data.a), len(data.b))
        a, b = (unpacked(domain.images[_chosen(domain, count)], device) for domain in (data.a, data.b))
        return Batch(a, None, b)
    chosen = _chosen(data, count)
    labels = None if data.labels is None else torch.from_numpy(np.array(data.labels[chosen])).to(device)
    return Batch(unpacked(data.images[chosen], device), labels)


def interleaved(data: Dataset | Pair, most: int) -> Dataset:
    """Of a pair, at most `most` pictures of each domain in turn; any other data set as it is."""
    if isinstance(data, Dataset):
        return data
    n = min(most, len(data.a), len(data.b))
    images = np.stack([data.a.images[:n], data.b.images[:n]], 1).reshape(-1, *data.a.images.shape[1:])
    return replace(data.a, images=images, labels=None, splits={"train": 2 * n, "valid": 0, "test": 0})


def _chosen(data: Dataset, count: int) -> NDArray[np.int64]:
    """The numbers of at most `count` pictures, always the same ones."""
    return np.sort(np.random.default_rng(0).permutation(len(data))[:count])
