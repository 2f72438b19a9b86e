"""A small classifier of digits, trained on the spot: what counts the modes of stacked digits."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from simulacra.console import console
from simulacra.data.dataset import content_hash
from simulacra.measure.extractors import cache

EPOCHS, BATCH, RATE = 12, 50, 2e-3
HELD_OUT = 0.2  # of the digits, never trained on
RECIPE = 1  # of this file; a change of what it makes is a change of this number
AT_ONCE = 500


class Classifier(nn.Module):
    """A digit [N, 1, 28, 28] in [-1, 1] -> logits [N, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(1, 16, 5, 2, 2), nn.ReLU()),
            *(nn.Conv2d(16, 48, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Dropout(0.4), nn.Linear(48 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, 10)),
        )

    def forward(self, digits: Tensor) -> Tensor:
        """Digits [N, 1, 28, 28] -> logits [N, 10]."""
        logits: Tensor = self.layers(digits)
        return logits

    @torch.no_grad()
    def read(self, digits: Tensor) -> tuple[Tensor, Tensor]:
        """What each of `digits` [N, 1, 28, 28] is, and how sure that is: [N] int64, [N] float32."""
        sure = torch.cat([self(part).softmax(1) for part in torch.split(digits, AT_ONCE)]).max(1)
        return sure.indices, sure.values


def prepared(digits: NDArray[np.uint8]) -> Tensor:
    """Digits [N, 28, 28] of 0 to 255 -> [N, 1, 28, 28] in [-1, 1]."""
    return torch.from_numpy(digits).float().div(127.5).sub(1)[:, None]


def classifier(digits: NDArray[np.uint8], labels: NDArray[np.int64]) -> tuple[Classifier, float]:
    """A trained classifier, and its accuracy on the digits [N, 28, 28] that it has not seen; kept on disk.

    The same digits give the same classifier: nothing of it depends on the run.
    """
    images = prepared(digits)
    order = np.random.default_rng(0).permutation(len(labels))
    held, shown = np.split(order, [round(HELD_OUT * len(labels))])
    truth = torch.from_numpy(labels)
    where = cache.path_for({"lab": "digits", "recipe": RECIPE, "digits": content_hash(digits[:, :, :, None], labels)})
    kept = cache.load(where)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = Classifier()
        if kept is None:
            console.print("A small network learns to read digits; it is kept for the next time.")
            train(net, images[shown], truth[shown])
            cache.store(where, {name: value.numpy() for name, value in net.state_dict().items()})
        else:
            net.load_state_dict({name: torch.from_numpy(value) for name, value in kept.items()})
    net.eval()
    right = net.read(images[held])[0] == truth[held]
    return net, float(right.float().mean())


def train(net: Classifier, images: Tensor, truth: Tensor) -> None:
    """Adam with a rate that rises and falls, on digits moved by up to one pixel."""
    optimizer = torch.optim.Adam(net.parameters(), RATE, fused=True)
    batches = -(-len(truth) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=EPOCHS * batches)
    for _ in range(EPOCHS):
        for chosen in torch.split(torch.randperm(len(truth)), BATCH):
            moves = tuple(torch.randint(-1, 2, (2,)).tolist())
            loss = cross_entropy(net(torch.roll(images[chosen], moves, (2, 3))), truth[chosen])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
