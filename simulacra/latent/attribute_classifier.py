"""A small convolutional network that reads attributes or classes from pictures, trained on the spot."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from simulacra.data.dataset import Dataset
from simulacra.errors import SimulacraError

SIDE = 64  # pixels that it looks at, at most
STEPS, BATCH = 1500, 48
RATE, DECAY = 3e-3, 0.05
HELD_OUT = 0.2  # of the pictures, where the data has no parts for it
FEWEST = 5  # held-out pictures with an attribute, and without it, to say how well it is read
READ_AT_ONCE = 256

Advance = Callable[[int], object]


@dataclass(frozen=True, kw_only=True, eq=False)
class Reader:
    """Reads attributes from pictures.

    auc: for each, how often a held-out picture that has it is given a larger logit than one that has not; NaN where
    too few held-out pictures have it, or have it not. accuracy: the mean of the shares read right among those that
    have it and those that have not (balanced accuracy), at `bar`. share: how many of the data's pictures have it.
    """

    names: tuple[str, ...]
    network: nn.Module
    bar: Tensor  # [A], the logit from which on a picture counts as having it
    auc: tuple[float, ...]
    accuracy: tuple[float, ...]
    share: tuple[float, ...]

    def logits(self, pictures: Tensor) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] -> [N, A], above 0 where a picture has the attribute; differentiable."""
        found: Tensor = self.network(pictures) - self.bar.to(pictures.device)
        return found

    @torch.no_grad()
    def read(self, batches: Iterable[Tensor]) -> Tensor:
        """The logits [N, A] of batches of pictures."""
        return torch.cat([self.logits(batch) for batch in batches])


class Network(nn.Module):
    """Pictures, at most `SIDE` px -> four convolutions that halve -> a logit for each attribute."""

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
            sides = [max(16, round(each * SIDE / side)) for each in pictures.shape[2:]]
            pictures = F.interpolate(pictures, sides, mode="bilinear", antialias=True)
        logits: Tensor = self.last(self.layers(pictures.contiguous(memory_format=torch.channels_last)))
        return logits


def questions(data: Dataset) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """What can be asked of a data set's pictures: names, and [N, A] of 0 and 1.

    A class is asked for as an attribute. Raises `SimulacraError` for a data set without labels.
    """
    if data.labels is None:
        raise SimulacraError(
            f"{data.path or data.name} has no labels to learn directions from: prepare it with --labels, or leave --labels out."
        )
    if data.attributes:
        return data.attributes, (data.labels > 0.5).astype(np.float32)
    count = len(data.classes)
    return data.classes, np.eye(count, dtype=np.float32)[data.labels]


def fit_reader(
    data: Dataset,
    *,
    seed: int = 0,
    steps: int = STEPS,
    device: torch.device | str = "cpu",
    advance: Advance = lambda n: None,
) -> Reader:
    """A reader of all that the data's labels tell, trained on its training pictures and tested on the others.

    seed: two readers with different seeds share neither weights nor the order of pictures. Raises `SimulacraError`
    for a data set without labels or with too few pictures.
    """
    names, wanted = questions(data)
    fit, test = _parts(data, seed)
    source = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(data.shape[0], len(names)).to(device)
        descent = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
        pace = torch.optim.lr_scheduler.OneCycleLR(descent, RATE, total_steps=steps)
        network.train()
        for _ in range(steps):
            chosen = fit[torch.randint(len(fit), (BATCH,), generator=source).numpy()]
            pictures = varied(_pictures(data, chosen).to(device))
            loss = F.binary_cross_entropy_with_logits(network(pictures), torch.from_numpy(wanted[chosen]).to(device))
            descent.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            descent.step()
            pace.step()
            advance(1)
    network.eval().requires_grad_(False)
    return _tested(network, names, data, wanted, test, device)


def varied(pictures: Tensor) -> Tensor:
    """Pictures moved a little, some softened, with some noise: generated ones are not as clean as real ones."""
    n, _, height, width = pictures.shape
    room = max(1, min(height, width) // 16)
    padded = F.pad(pictures, (room,) * 4, mode="replicate")
    y, x = (int(torch.randint(2 * room + 1, ())) for _ in range(2))
    moved = padded[:, :, y : y + height, x : x + width]
    soft = F.avg_pool2d(F.pad(moved, (1,) * 4, mode="replicate"), 3, 1)
    amount = torch.rand(n, 1, 1, 1, device=pictures.device)
    amount = torch.where(torch.rand_like(amount) < 0.5, amount, 0.0)
    return moved.lerp(soft, amount) + 0.1 * torch.rand_like(amount) * torch.randn_like(moved)


def _parts(data: Dataset, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    n, train = len(data), data.splits["train"]
    if n < 2 * FEWEST:
        raise SimulacraError(f"{data.path or data.name} has {n} pictures: too few to learn what their labels mean.")
    if n - train >= 2 * FEWEST and train >= 2 * FEWEST:
        return np.arange(train), np.arange(train, n)
    order = np.random.default_rng([seed, 11]).permutation(n)
    held_out = max(FEWEST, round(n * HELD_OUT))
    return order[held_out:], order[:held_out]


def _pictures(data: Dataset, chosen: NDArray[np.int64]) -> Tensor:
    packed = torch.from_numpy(np.ascontiguousarray(data.images[chosen]))  # [N, H, W, C]
    return packed.permute(0, 3, 1, 2).float() / 127.5 - 1


@torch.no_grad()
def _tested(
    network: nn.Module,
    names: tuple[str, ...],
    data: Dataset,
    wanted: NDArray[np.float32],
    test: NDArray[np.int64],
    device: torch.device | str,
) -> Reader:
    parts = [test[start : start + READ_AT_ONCE] for start in range(0, len(test), READ_AT_ONCE)]
    logits = torch.cat([network(_pictures(data, part).to(device)).cpu() for part in parts]).numpy()
    told = [_judged(logits[:, i], wanted[test, i] > 0.5) for i in range(len(names))]
    return Reader(
        names=names,
        network=network,
        bar=torch.zeros(len(names)),
        auc=tuple(auc for auc, _ in told),
        accuracy=tuple(accuracy for _, accuracy in told),
        share=tuple(float(share) for share in wanted.mean(0)),
    )


def _judged(logits: NDArray[np.floating], has: NDArray[np.bool_]) -> tuple[float, float]:
    """(AUC, balanced accuracy)."""
    yes, no = logits[has], logits[~has]
    if min(len(yes), len(no)) < FEWEST:
        return float("nan"), float("nan")
    return auc(yes, no), float(((yes > 0).mean() + (no <= 0).mean()) / 2)


def auc(yes: NDArray[np.floating], no: NDArray[np.floating]) -> float:
    """How often one of `yes` is larger than one of `no`; a tie counts half (Mann and Whitney 1947)."""
    order = np.sort(no)
    below, upto = np.searchsorted(order, yes, "left"), np.searchsorted(order, yes, "right")
    return float((below + upto).mean() / 2 / len(no))
