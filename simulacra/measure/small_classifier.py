"""A small convolutional classifier of pictures, trained in seconds: `worth` asks whether fakes make it better."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

SIDE = 64  # pixels: larger pictures are shrunk
WIDTH, LAST_SIDE, GROUPS, DROPOUT = 16, 4, 4, 0.2
BATCH, RATE, DECAY = 64, 3e-3, 0.05
EPOCHS, STEPS = 40, (200, 3000)  # passes over the real pictures, within these numbers of steps
SHIFT = 1 / 16  # of the side: the reach of random crops
READ_BATCH = 500
RECIPE: Mapping[str, Any] = MappingProxyType(
    {
        "network": f"3x3 convolutions of stride 2 from {WIDTH} channels, doubled up to {4 * WIDTH}, down to {LAST_SIDE} px,"
        f" each with group norm ({GROUPS}) and ReLU; dropout {DROPOUT}; one linear layer",
        "side": SIDE,
        "optimizer": f"AdamW, rate {RATE} (one cycle), weight decay {DECAY}, batches of {BATCH}",
        "augment": f"mirrored half of the time, moved by up to {SHIFT} of the side",
    }
)


class SmallClassifier(nn.Module):
    """Pictures [N, C, H, W] in [-1, 1] -> logits [N, classes].

    Group norm looks at each picture alone: fakes in a batch do not change how a real picture is read.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        channels, *sides = shape
        halvings = max(2, (max(sides) // LAST_SIDE).bit_length() - 1)
        widths = [channels, *(min(WIDTH << i, 4 * WIDTH) for i in range(halvings))]
        layers: list[nn.Module] = []
        for inner, outer in itertools.pairwise(widths):
            layers += [nn.Conv2d(inner, outer, 3, 2, 1, bias=False), nn.GroupNorm(GROUPS, outer), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(LAST_SIDE), nn.Flatten(), nn.Dropout(DROPOUT))
        self.last = nn.Linear(widths[-1] * LAST_SIDE**2, classes)

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures [N, C, H, W] -> logits [N, classes]."""
        logits: Tensor = self.last(self.layers(pictures.contiguous(memory_format=torch.channels_last)))
        return logits

    @torch.no_grad()
    def classify(self, pictures: Tensor) -> NDArray[np.int64]:
        """The class [N] of each of `pictures` [N, C, H, W] uint8."""
        self.eval()
        return torch.cat([self(_scaled(part)).argmax(1) for part in torch.split(pictures, READ_BATCH)]).cpu().numpy()


def classifier_input(images: NDArray[np.uint8]) -> Tensor:
    """Pictures [N, H, W, C] uint8 -> [N, C, h, w] uint8, their longer side at most `SIDE`."""
    longest = max(images.shape[1:3])
    sides = [max(16, round(length * SIDE / longest)) for length in images.shape[1:3]]
    parts = [torch.empty(0, images.shape[3], *(sides if longest > SIDE else images.shape[1:3]), dtype=torch.uint8)]
    for start in range(0, len(images), READ_BATCH):
        part = torch.from_numpy(np.array(images[start : start + READ_BATCH])).permute(0, 3, 1, 2)
        if longest > SIDE:
            part = F.interpolate(part.float(), sides, mode="bilinear", antialias=True).round().clamp(0, 255).byte()
        parts.append(part.contiguous())
    return torch.cat(parts)


def steps_for(pictures: int) -> int:
    """Steps of a training for this number of real pictures."""
    return min(max(EPOCHS * pictures // BATCH, STEPS[0]), STEPS[1])


def train_small_classifier(
    pictures: Tensor, labels: Tensor, *, classes: int, steps: int, seed: int, crops: bool = False, flips: bool = False
) -> SmallClassifier:
    """A classifier trained on pictures [N, C, H, W] uint8 with labels [N] int64, on their device.

    seed: of the weights, the order of pictures, dropout and augmentation. crops, flips: move and mirror at random.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _, *shape = pictures.shape
        network = SmallClassifier((shape[0], shape[1], shape[2]), classes)
        network.to(memory_format=torch.channels_last).to(pictures.device)  # type: ignore[call-overload]
        optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
        order = torch.empty(0, dtype=torch.int64)
        for _ in range(steps):
            while len(order) < BATCH:
                order = torch.cat([order, torch.randperm(len(pictures))])
            rows, order = order[:BATCH].to(pictures.device), order[BATCH:]
            batch = _scaled(augment(pictures[rows], crops=crops, flips=flips))
            loss = F.cross_entropy(network(batch), labels[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    network.eval().requires_grad_(False)
    return network


def augment(pictures: Tensor, *, crops: bool, flips: bool) -> Tensor:
    """Pictures [N, C, H, W], each moved by its own whole pixels (edges repeated) and mirrored half of the time."""
    n, _, height, width = pictures.shape
    y, x = torch.arange(height).expand(n, -1), torch.arange(width).expand(n, -1)
    if crops:
        y = y + _shifts(n, height)
        x = x + _shifts(n, width)
    if flips:
        x = torch.where(torch.rand(n, 1) < 0.5, x.flip(1), x)
    if not (crops or flips):
        return pictures
    rows = torch.arange(n)[:, None, None]
    places = rows, y.clamp(0, height - 1)[:, :, None], x.clamp(0, width - 1)[:, None, :]
    chosen = tuple(place.to(pictures.device) for place in places)
    return pictures.permute(0, 2, 3, 1)[chosen].permute(0, 3, 1, 2)


def _shifts(n: int, length: int) -> Tensor:
    reach = max(1, round(length * SHIFT))
    return torch.randint(-reach, reach + 1, (n, 1))


def _scaled(pictures: Tensor) -> Tensor:
    return pictures.float().div_(127.5).sub_(1)
