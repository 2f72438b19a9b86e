"""Batches as a pure function of (seed, images shown), so that a resume is exact without sampler state."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simulacra.data.dataset import Dataset, Pair
from simulacra.data.joined import JoinedImages
from simulacra.gan import Batch, Generator, Model

SECOND_DOMAIN = 1 << 40  # added to the seed for the order of a pair's second domain
STEPS_AHEAD = 2  # batches that are read before they are asked for
MOST_AHEAD = 1 << 16  # images between two batches of one process; more is a jump, as of a resume
DEVICE_SHARE = 0.4  # of the device's free memory that the uint8 pictures may take


class Feed:
    """Endless shuffled epochs over a dataset or pair, on the training device.

    Picture number `nimg` of a run does not depend on the batch size, the number of processes or the last resume. The
    two domains of a pair are shuffled independently: batches are unpaired. On CUDA the uint8 pictures are stored on the
    device if they fit.
    """

    def __init__(self, data: Dataset | Pair, device: torch.device, *, seed: int, mirror: bool = False) -> None:
        domain = data.a if isinstance(data, Pair) else data
        self.n, self.seed, self.mirror, self.device = len(domain), seed, mirror, device
        self.images: np.ndarray | Tensor | JoinedImages = domain.images
        self.labels = None if domain.labels is None else torch.from_numpy(np.array(domain.labels))
        if device.type == "cuda" and domain.images.nbytes < DEVICE_SHARE * torch.cuda.mem_get_info(device)[0]:
            self.images = torch.from_numpy(np.array(domain.images)).to(device)
        self.names = data.domains if isinstance(data, Pair) else data.classes or data.attributes
        self.others = Feed(data.b, device, seed=seed + SECOND_DOMAIN, mirror=mirror) if isinstance(data, Pair) else None
        self.last_start: int | None = None
        self._epoch = lru_cache(maxsize=2)(self._shuffled)

    def _shuffled(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng((self.seed, epoch))
        return rng.permutation(self.n), rng.random(self.n) < 0.5

    def order(self, start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Indices [count] of pictures number start, start + 1, ... of the run, and whether each is mirrored [count]."""
        index, mirrored = [], []
        while count:
            epoch, offset = divmod(start, self.n)
            n = min(count, self.n - offset)
            permutation, flips = self._epoch(epoch)
            index.append(permutation[offset : offset + n])
            mirrored.append(flips[offset : offset + n])
            start, count = start + n, count - n
        return np.concatenate(index), np.concatenate(mirrored)

    def _ahead(self, start: int, count: int) -> None:
        """Begin to read the batches after this one, if pictures are at an address: they follow as this one did."""
        if isinstance(self.images, JoinedImages) and start != self.last_start:
            stride = count if self.last_start is None else start - self.last_start
            stride = stride if 0 < stride <= MOST_AHEAD else count
            for step in range(1, STEPS_AHEAD + 1):
                self.images.ahead(self.order(start + step * stride, count)[0])
            self.last_start = start

    def batch(self, start: int, count: int) -> Batch:
        """Pictures number start ... start + count - 1 of the run: images [count, C, H, W] in [-1, 1], channels last."""
        index, mirrored = self.order(start, count)
        if isinstance(self.images, Tensor):
            packed = self.images[torch.from_numpy(index).to(self.device, non_blocking=True)]
        else:
            packed = torch.from_numpy(self.images[index]).to(self.device, non_blocking=True)
            self._ahead(start, count)
        images = packed.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
        if self.mirror:
            flip = torch.from_numpy(mirrored).to(self.device, non_blocking=True)
            images = torch.where(flip[:, None, None, None], images.flip(3), images)
        labels = None if self.labels is None else self.labels[torch.from_numpy(index)].to(self.device)
        others = None if self.others is None else self.others.batch(start, count).images
        return Batch(images.contiguous(memory_format=torch.channels_last), labels, others)

    def attach_labels(self, model: Model) -> None:
        """Give a model the names of its labels or domains, and a conditional generator the labels to sample from."""
        model.classes = self.names
        if isinstance(model, Generator) and model.labels:
            assert self.labels is not None
            model.store_labels(self.labels)

    def epochs(self, nimg: int) -> float:
        """Epochs after `nimg` images."""
        return nimg / self.n


def to_tensor(images: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Convert pictures [N, H, W, C] uint8 to [N, C, H, W] in [-1, 1], channels last."""
    return torch.from_numpy(np.array(images)).to(device).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
