"""How much pictures differ from each other, and whether they resemble augmented ones, compared as thumbnails."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from simulacra.augment import Augment
from simulacra.augment.ada import AdaptiveAugment
from simulacra.data.dataset import Dataset, Pair
from simulacra.data.feed import to_tensor
from simulacra.gan import Batch

SIDE = 8  # of a thumbnail: it shows content, not texture
REALS, PART = 256, 64  # reals that previews are compared with, and reals augmented at a time
FEWEST = 32  # pictures; with fewer, the energy distance is noise
NEAR = 0.5  # of the distance between reals and augmented reals: fakes farther from both resemble neither


def thumbnails(pictures: Tensor) -> Tensor:
    """Pictures [N, C, H, W] as float64 thumbnails [N, C·SIDE·SIDE]."""
    return adaptive_avg_pool2d(pictures.float().cpu(), SIDE).flatten(1).double()


def distances(one: Tensor, other: Tensor) -> Tensor:
    """Euclidean distances [N, M] between thumbnails."""
    return torch.cdist(one, other, compute_mode="donot_use_mm_for_euclid_dist")


def spread(pictures: Tensor, scale: float | None = None) -> tuple[float, float]:
    """(mean distance between two of `pictures` [N, C, H, W], effective number of distinct pictures).

    The latter is 1 / Σ λ² over the eigenvalues of exp(-d² / 2h²) / N, the Vendi score of order 2 (Pasarkar & Dieng
    2023): k for k kinds of equal size, alike within and far apart between. h is a tenth of `scale`, the mean distance
    between reals (default: between these pictures); pictures closer than h count as the same.
    """
    features = thumbnails(pictures)
    d = distances(features, features)
    n = len(features)
    mean = float(d.sum()) / (n * (n - 1))
    width = (scale or mean) / 10
    kernel = torch.exp(-((d / width) ** 2) / 2) if width else torch.ones_like(d)
    return mean, n * n / float(kernel.square().sum())


class Leak:
    """Whether fakes resemble reals or augmented reals. Augmentations of texture alone, such as noise, go unnoticed."""

    def __init__(self, data: Dataset, most: int) -> None:
        """data: training pictures. most: pictures augmented at each measurement, at most."""
        self.images = data.images[_fixed_subset(data, min(REALS, most))]
        self.reals = (
            torch.cat([thumbnails(part) for part in self.parts(torch.device("cpu"))]) if len(self.images) else None
        )

    def parts(self, device: torch.device) -> list[Tensor]:
        """The reals in batches of `PART`."""
        return [to_tensor(self.images[i : i + PART], device) for i in range(0, len(self.images), PART)]

    @torch.no_grad()
    def measures(self, augment: Augment, pictures: Tensor) -> dict[str, float]:
        """`leak`, 0 for fakes like reals and 1 for fakes like augmented reals, with its standard error, and `augment_p`.

        The energy distance E (Székely & Rizzo 2013) embeds distributions in a Euclidean space. `leak` is the position of
        fakes F on the line from reals R to augmented reals A: (E(F,R) - E(F,A) + E(R,A)) / 2E(R,A).
        Omitted where F is farther from both than half of E(R,A), as before G has learned.
        """
        values = {"augment_p": float(augment.p)} if isinstance(augment, AdaptiveAugment) else {}
        if type(augment) is Augment or self.reals is None or min(len(self.reals), len(pictures)) < FEWEST:
            return values
        torch.manual_seed(0)  # every step sets its own seed
        augmented = torch.cat([thumbnails(augment(part)) for part in self.parts(pictures.device)])
        fakes, reals = thumbnails(pictures), self.reals
        to_reals, to_augmented = distances(fakes, reals).mean(1), distances(fakes, augmented).mean(1)  # [F]
        within = {name: _within(group) for name, group in (("F", fakes), ("R", reals), ("A", augmented))}
        between = 2 * float(distances(reals, augmented).mean()) - within["R"] - within["A"]
        from_reals = 2 * float(to_reals.mean()) - within["F"] - within["R"]
        from_augmented = 2 * float(to_augmented.mean()) - within["F"] - within["A"]
        if between <= 0 or min(from_reals, from_augmented) > NEAR * between:
            return values
        error = float((to_reals - to_augmented).std()) / len(fakes) ** 0.5 / between
        return values | {"leak": (from_reals - from_augmented + between) / (2 * between), "leak_error": error}


def _within(features: Tensor) -> float:
    """The mean distance between two different thumbnails."""
    n = len(features)
    return float(distances(features, features).sum()) / (n * (n - 1))


def fixed_batch(data: Dataset | Pair, count: int, device: torch.device) -> Batch:
    """A fixed random batch of at most `count` pictures with their labels; of a pair, as many of each domain."""
    if isinstance(data, Pair):
        count = min(count, len(data.a), len(data.b))
        a, b = (to_tensor(domain.images[_fixed_subset(domain, count)], device) for domain in (data.a, data.b))
        return Batch(a, None, b)
    rows = _fixed_subset(data, count)
    labels = None if data.labels is None else torch.from_numpy(np.array(data.labels[rows])).to(device)
    return Batch(to_tensor(data.images[rows], device), labels)


def alternating(data: Dataset | Pair, most: int) -> Dataset:
    """A pair as one data set: at most `most` pictures of each domain, alternately. A data set as it is."""
    if isinstance(data, Dataset):
        return data
    n = min(most, len(data.a), len(data.b))
    images = np.stack([data.a.images[:n], data.b.images[:n]], 1).reshape(-1, *data.a.images.shape[1:])
    return replace(data.a, images=images, labels=None, splits={"train": 2 * n, "valid": 0, "test": 0})


def _fixed_subset(data: Dataset, count: int) -> NDArray[np.int64]:
    """Indices of a fixed random subset of at most `count` pictures, sorted."""
    return np.sort(np.random.default_rng(0).permutation(len(data))[:count])
