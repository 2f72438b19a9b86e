"""A small convolutional network that classifies attributes of pictures, trained on a dataset's labels in minutes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from simulacra.console import Advance
from simulacra.data.dataset import Dataset
from simulacra.errors import SimulacraError

SIDE = 64  # pixels: larger pictures are shrunk
STEPS, BATCH = 1500, 48
RATE, DECAY = 3e-3, 0.05
HELD_OUT = 0.2  # share of the pictures, where the dataset has no such splits
MIN_HELD_OUT = 5  # held-out pictures with an attribute, and without it, for a measured accuracy
TEST_BATCH = 256


@dataclass(frozen=True, kw_only=True, eq=False)
class AttributeClassifier:
    """Logits of attributes of pictures, with the accuracy of each on held-out pictures.

    auc: probability that a picture with the attribute has a larger logit than one without; NaN with too few held-out
        pictures of either kind.
    accuracy: balanced accuracy at `threshold`: mean of the shares classified right with and without the attribute.
    share: of the dataset's pictures that have the attribute.
    """

    names: tuple[str, ...]
    network: nn.Module
    threshold: Tensor  # [A], subtracted from the network's output
    auc: tuple[float, ...]
    accuracy: tuple[float, ...]
    share: tuple[float, ...]

    def logits(self, pictures: Tensor) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] -> [N, A], positive where a picture has the attribute; differentiable."""
        logits: Tensor = self.network(pictures) - self.threshold.to(pictures.device)
        return logits

    @torch.no_grad()
    def classify(self, batches: Iterable[Tensor]) -> Tensor:
        """The logits [N, A] of batches of pictures."""
        return torch.cat([self.logits(batch) for batch in batches])


class Network(nn.Module):
    """Pictures, at most `SIDE` px -> four convolutions that halve -> a logit per attribute."""

    def __init__(self, channels: int, attributes: int, *, width: int = 16) -> None:
        super().__init__()
        widths = [channels, width, 2 * width, 4 * width, 6 * width]
        layers: list[nn.Module] = []
        for inner, outer in itertools.pairwise(widths):
            layers += [nn.Conv2d(inner, outer, 3, 2, 1, bias=False), nn.BatchNorm2d(outer), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Dropout(0.2))
        self.last = nn.Linear(16 * widths[-1], attributes)

    def forward(self, pictures: Tensor) -> Tensor:
        """[N, C, H, W] in [-1, 1] -> [N, A]."""
        side = max(pictures.shape[2:])
        if side > SIDE:
            sides = [max(16, round(length * SIDE / side)) for length in pictures.shape[2:]]
            pictures = F.interpolate(pictures, sides, mode="bilinear", antialias=True)
        logits: Tensor = self.last(self.layers(pictures.contiguous(memory_format=torch.channels_last)))
        return logits


def attribute_targets(data: Dataset) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Names of a dataset's attributes or classes, and targets [N, A] of 0 and 1 (one-hot for classes).

    Raises `SimulacraError` for a dataset without labels.
    """
    if data.labels is None:
        raise SimulacraError("latent.data_without_labels", data=data.path or data.name)
    if data.attributes:
        return data.attributes, (data.labels > 0.5).astype(np.float32)
    count = len(data.classes)
    return data.classes, np.eye(count, dtype=np.float32)[data.labels]


def train_classifier(
    data: Dataset,
    *,
    seed: int = 0,
    steps: int = STEPS,
    device: torch.device | str = "cpu",
    advance: Advance = lambda n: None,
) -> AttributeClassifier:
    """Train a classifier of all attributes on the training pictures, and test it on the others.

    seed: of the weights and the order of pictures. Raises `SimulacraError` for a dataset without labels or with too
    few pictures.
    """
    names, targets = attribute_targets(data)
    train, test = _splits(data, seed)
    source = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(data.shape[0], len(names)).to(device)
        optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
        network.train()
        for _ in range(steps):
            rows = train[torch.randint(len(train), (BATCH,), generator=source).numpy()]
            pictures = augment(_pictures(data, rows).to(device))
            loss = F.binary_cross_entropy_with_logits(network(pictures), torch.from_numpy(targets[rows]).to(device))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            advance(1)
    network.eval().requires_grad_(False)
    return _tested(network, names, data, targets, test, device)


def augment(pictures: Tensor) -> Tensor:
    """Pictures shifted a little, some blurred, with noise: generated pictures are less sharp than real ones."""
    n, _, height, width = pictures.shape
    margin = max(1, min(height, width) // 16)
    padded = F.pad(pictures, (margin,) * 4, mode="replicate")
    y, x = (int(torch.randint(2 * margin + 1, ())) for _ in range(2))
    shifted = padded[:, :, y : y + height, x : x + width]
    blurred = F.avg_pool2d(F.pad(shifted, (1,) * 4, mode="replicate"), 3, 1)
    amount = torch.rand(n, 1, 1, 1, device=pictures.device)
    amount = torch.where(torch.rand_like(amount) < 0.5, amount, 0.0)
    return shifted.lerp(blurred, amount) + 0.1 * torch.rand_like(amount) * torch.randn_like(shifted)


def _splits(data: Dataset, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows for training and for testing."""
    n, train = len(data), data.splits["train"]
    if n < 2 * MIN_HELD_OUT:
        raise SimulacraError("latent.too_few_pictures", data=data.path or data.name, count=n)
    if n - train >= 2 * MIN_HELD_OUT and train >= 2 * MIN_HELD_OUT:
        return np.arange(train), np.arange(train, n)
    order = np.random.default_rng([seed, 11]).permutation(n)
    held_out = max(MIN_HELD_OUT, round(n * HELD_OUT))
    return order[held_out:], order[:held_out]


def _pictures(data: Dataset, rows: NDArray[np.int64]) -> Tensor:
    images = torch.from_numpy(np.ascontiguousarray(data.images[rows]))  # [N, H, W, C]
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


@torch.no_grad()
def _tested(
    network: nn.Module,
    names: tuple[str, ...],
    data: Dataset,
    targets: NDArray[np.float32],
    test: NDArray[np.int64],
    device: torch.device | str,
) -> AttributeClassifier:
    parts = [test[start : start + TEST_BATCH] for start in range(0, len(test), TEST_BATCH)]
    logits = torch.cat([network(_pictures(data, part).to(device)).cpu() for part in parts]).numpy()
    scores = [_scores(logits[:, i], targets[test, i] > 0.5) for i in range(len(names))]
    return AttributeClassifier(
        names=names,
        network=network,
        threshold=torch.zeros(len(names)),
        auc=tuple(auc for auc, _ in scores),
        accuracy=tuple(accuracy for _, accuracy in scores),
        share=tuple(float(share) for share in targets.mean(0)),
    )


def _scores(logits: NDArray[np.floating], has: NDArray[np.bool_]) -> tuple[float, float]:
    """(AUC, balanced accuracy)."""
    positive, negative = logits[has], logits[~has]
    if min(len(positive), len(negative)) < MIN_HELD_OUT:
        return float("nan"), float("nan")
    return auc(positive, negative), float(((positive > 0).mean() + (negative <= 0).mean()) / 2)


def auc(positive: NDArray[np.floating], negative: NDArray[np.floating]) -> float:
    """Probability that a positive value exceeds a negative one; a tie counts half (Mann and Whitney 1947)."""
    order = np.sort(negative)
    below, up_to = np.searchsorted(order, positive, "left"), np.searchsorted(order, positive, "right")
    return float((below + up_to).mean() / 2 / len(negative))
