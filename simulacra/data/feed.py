"""Batches as a pure function of (seed, images shown): what makes a resume exact with no sampler state."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simulacra.data.dataset import Dataset, Pair
from simulacra.gan import Batch, Generator, Model

OTHERS = 1 << 40  # added to the seed for the order of a second domain
DEVICE_SHARE = 0.4  # of the accelerator's free memory that the packed pictures may take


class Feed:
    """Endless shuffled passes over a data set, on the training device.

    Of a pair the second domain has an order of its own, which has nothing to do with the first's: batches are unpaired.
    Picture number `nimg` of a run is the same whatever the batch size, the number of processes or the
    moment of the last resume. On an accelerator the packed uint8 pictures live there when they fit.
    """

    def __init__(self, data: Dataset | Pair, device: torch.device, *, seed: int, mirror: bool = False) -> None:
        domain = data.a if isinstance(data, Pair) else data
        self.n, self.seed, self.mirror, self.device = len(domain), seed, mirror, device
        self.images: np.ndarray | Tensor = domain.images
        self.labels = None if domain.labels is None else torch.from_numpy(np.array(domain.labels))
        if device.type == "cuda" and domain.images.nbytes < DEVICE_SHARE * torch.cuda.mem_get_info(device)[0]:
            self.images = torch.from_numpy(np.array(domain.images)).to(device)
        self.names = data.domains if isinstance(data, Pair) else data.classes or data.attributes
        self.others = Feed(data.b, device, seed=seed + OTHERS, mirror=mirror) if isinstance(data, Pair) else None
        self._pass = lru_cache(maxsize=2)(self._shuffled)

    def _shuffled(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        source = np.random.default_rng((self.seed, number))
        return source.permutation(self.n), source.random(self.n) < 0.5

    def order(self, start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Which pictures [count] are shown as numbers start, start + 1, … of the run, and which are mirrored."""
        index, mirrored = [], []
        while count:
            number, offset = divmod(start, self.n)
            taken = min(count, self.n - offset)
            permutation, flips = self._pass(number)
            index.append(permutation[offset : offset + taken])
            mirrored.append(flips[offset : offset + taken])
            start, count = start + taken, count - taken
        return np.concatenate(index), np.concatenate(mirrored)

    def batch(self, start: int, count: int) -> Batch:
        """Pictures number start … start + count - 1 of the run as a `Batch`, channels last."""
        index, mirrored = self.order(start, count)
        if isinstance(self.images, Tensor):
            packed = self.images[torch.from_numpy(index).to(self.device, non_blocking=True)]
        else:
            packed = torch.from_numpy(self.images[index]).to(self.device, non_blocking=True)
        images = packed.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
        if self.mirror:
            flip = torch.from_numpy(mirrored).to(self.device, non_blocking=True)
            images = torch.where(flip[:, None, None, None], images.flip(3), images)
        labels = None if self.labels is None else self.labels[torch.from_numpy(index)].to(self.device)
        others = None if self.others is None else self.others.batch(start, count).images
        return Batch(images.contiguous(memory_format=torch.channels_last), labels, others)

    def tell(self, model: Model) -> None:
        """Give a model the labels' names, and the labels to draw from if it is told them."""
        model.classes = self.names
        if isinstance(model, Generator) and model.labels:
            assert self.labels is not None
            model.remember(self.labels)

    def passes(self, nimg: int) -> float:
        """How many times the data has been shown after `nimg` images."""
        return nimg / self.n


def unpacked(images: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Pictures [N, H, W, C] as [N, C, H, W] in [-1, 1], channels last."""
    return torch.from_numpy(np.array(images)).to(device).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
