"""A small classifier of digits, trained on first use. It counts the modes of stacked digits."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from simulacra.console import say
from simulacra.data.dataset import content_hash
from simulacra.measure.extractors import cache

EPOCHS, BATCH, RATE = 12, 50, 2e-3
HELD_OUT = 0.2  # of the digits, never trained on
RECIPE = 1  # part of the cache key: increase it when training here changes
READ_BATCH = 500


class DigitClassifier(nn.Module):
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
        """The class and confidence of each of `digits` [N, 1, 28, 28]: [N] int64, [N] float32."""
        confidence = torch.cat([self(part).softmax(1) for part in torch.split(digits, READ_BATCH)]).max(1)
        return confidence.indices, confidence.values


def digits_to_tensor(digits: NDArray[np.uint8]) -> Tensor:
    """Digits [N, 28, 28] of 0 to 255 -> [N, 1, 28, 28] in [-1, 1]."""
    return torch.from_numpy(digits).float().div(127.5).sub(1)[:, None]


def trained_classifier(digits: NDArray[np.uint8], labels: NDArray[np.int64]) -> tuple[DigitClassifier, float]:
    """A trained classifier and its accuracy on unseen ones of `digits` [N, 28, 28]; cached on disk.

    The same digits give the same classifier, whatever the state of the random generators.
    """
    images = digits_to_tensor(digits)
    order = np.random.default_rng(0).permutation(len(labels))
    unseen, training = np.split(order, [round(HELD_OUT * len(labels))])
    truth = torch.from_numpy(labels)
    path = cache.path_for({"lab": "digits", "recipe": RECIPE, "digits": content_hash(digits[:, :, :, None], labels)})
    weights = cache.load(path)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = DigitClassifier()
        if weights is None:
            say("lab.training_classifier")
            _train(net, images[training], truth[training])
            cache.store(path, {name: value.numpy() for name, value in net.state_dict().items()})
        else:
            net.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    net.eval()
    correct = net.read(images[unseen])[0] == truth[unseen]
    return net, float(correct.float().mean())


def _train(net: DigitClassifier, images: Tensor, truth: Tensor) -> None:
    """Adam with a one-cycle rate, on digits shifted by up to one pixel."""
    optimizer = torch.optim.Adam(net.parameters(), RATE, fused=True)
    batches = -(-len(truth) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=EPOCHS * batches)
    for _ in range(EPOCHS):
        for batch in torch.split(torch.randperm(len(truth)), BATCH):
            shifts = tuple(torch.randint(-1, 2, (2,)).tolist())
            loss = cross_entropy(net(torch.roll(images[batch], shifts, (2, 3))), truth[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
