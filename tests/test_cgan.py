"""The conditional GAN: its terms, two designs of D, wrong labels, and fakes of the class that is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import CPU, advance, build, in_memory
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot

from simulacra.data.feed import Feed
from simulacra.errors import SimulacraError
from simulacra.gan import Batch
from simulacra.gans.cgan import wrong
from simulacra.registry import configured
from simulacra.training.trainer import Trainer

FASHION = Path(__file__).parent / "data" / "fashion.npz"
LABELS = torch.arange(6) % 3
BATCH = Batch(torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1, LABELS)


class LinearInMean(nn.Module):
    """A D whose logits are known: the mean of the picture times a number of the label's own."""

    def forward(self, images: Tensor, y: Tensor) -> Tensor:
        return images.mean((1, 2, 3)) * (y @ torch.tensor([1.0, -20.0, 300.0]))


def bce(logits: Tensor, target: float) -> Tensor:
    return binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


@pytest.mark.parametrize("weight", [0.0, 1.0, 0.3])
def test_the_three_terms(weight: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real with its label high, fake with its label low, real with a wrong label low."""
    gan: Any = build("cgan:tiny", wrong=weight)
    fakes, images = torch.rand(6, 3, 16, 16) - 0.7, BATCH.images
    gan.D = D = LinearInMean()
    monkeypatch.setattr(gan, "generate", lambda batch, grad=True: fakes)
    monkeypatch.setattr(gan, "wrong", lambda y: y.roll(1, 1))
    y = one_hot(LABELS, 3).float()
    expected = bce(D(images, y), 1) + bce(D(fakes, y), 0) + weight * bce(D(images, y.roll(1, 1)), 0)
    loss, stats = gan.d_loss(BATCH)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(stats["adversarial"], bce(D(images, y), 1) + bce(D(fakes, y), 0))
    torch.testing.assert_close(gan.g_loss(BATCH)[0], bce(D(fakes, y), 1))


def test_two_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fakes are asked whether they are real, reals with wrong labels whether they match; G answers both."""
    gan: Any = build("cgan:tiny", design="two", match=0.3)
    fakes, images = torch.rand(6, 3, 16, 16) - 0.7, BATCH.images
    y, M = one_hot(LABELS, 3).float(), LinearInMean()

    def R(images: Tensor) -> Tensor:
        return 7 * images.mean((1, 2, 3))

    gan.D.match = M
    monkeypatch.setattr(gan.D, "is_real", R)
    monkeypatch.setattr(gan, "generate", lambda batch, grad=True: fakes)
    monkeypatch.setattr(gan, "wrong", lambda y: y.roll(1, 1))
    is_real = bce(R(images), 1) + bce(R(fakes), 0)
    matches = bce(M(images, y), 1) + bce(M(images, y.roll(1, 1)), 0)
    torch.testing.assert_close(gan.d_loss(BATCH)[0], 0.7 * is_real + 0.3 * matches)
    torch.testing.assert_close(gan.g_loss(BATCH)[0], 0.7 * bce(R(fakes), 1) + 0.3 * bce(M(fakes, y), 1))
    torch.testing.assert_close(gan.D(images, y), 0.7 * R(images) + 0.3 * M(images, y))


@pytest.mark.parametrize("labels", [2, 3, 10])
def test_a_wrong_class_is_never_right_and_any_other(labels: int) -> None:
    torch.manual_seed(0)
    classes = torch.arange(5000) % labels
    wrong_labels = wrong(one_hot(classes, labels).float(), attributes=False)
    assert (wrong_labels.sum(1) == 1).all()
    counts = torch.zeros(labels, labels).index_put(
        (classes, wrong_labels.argmax(1)), torch.tensor(1.0), accumulate=True
    )
    assert (counts.diagonal() == 0).all()
    share = counts / counts.sum(1, keepdim=True)
    assert (share[~torch.eye(labels, dtype=torch.bool)] - 1 / (labels - 1)).abs().max() < 0.06


@pytest.mark.parametrize("n", [1, 2, 7])
def test_wrong_attributes_are_another_picture_s_and_never_right(n: int) -> None:
    torch.manual_seed(0)
    rows = torch.rand(n, 5).round(decimals=1)
    for y in (rows, torch.eye(5)[torch.zeros(n).long()]):
        wrong_labels = wrong(y, attributes=True)
        assert not (wrong_labels == y).all(1).any()
        if y is rows and n > 1:
            assert all(any(torch.equal(row, other) for other in y) for row in wrong_labels)


@pytest.mark.parametrize("design", ["pair", "two"])
def test_attributes_train_too(design: str) -> None:
    gan, config = configured("cgan:tiny", (1, 8, 8), {"design": design}, labels=5, attributes=True)
    model = gan(config)
    batch = Batch(torch.rand(6, 1, 8, 8), torch.rand(6, 5))
    for loss, _ in (model.d_loss(batch), model.g_loss(batch)):
        assert torch.isfinite(loss)


def test_its_sizes_are_the_published_ones() -> None:
    gan = build("cgan", (1, 28, 28))
    widths = {name: [m.weight.shape[1] for m in getattr(gan, name).layers if isinstance(m, nn.Linear)] for name in "GD"}
    assert widths == {"G": [110, 256, 512, 1024], "D": [794, 1024, 512, 256]}


@pytest.mark.parametrize(("labels", "words"), [(3, {"conditional": False}), (1, {})])
def test_it_needs_labels_that_can_be_wrong(labels: int, words: dict[str, Any]) -> None:
    gan, config = configured("cgan", (1, 8, 8), words, labels=labels)
    with pytest.raises(SimulacraError, match="--gan mlp"):
        gan(config)


def reader(images: Tensor, labels: Tensor) -> nn.Module:
    """A small net that reads the class of reals."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(196, 256), nn.ReLU(), nn.Linear(256, 10))
    descent = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=0.1)
    for _ in range(15):
        for part in torch.split(torch.randperm(len(images)), 100):
            descent.zero_grad()
            noisy = images[part] + 0.2 * torch.randn(len(part), 1, 14, 14)
            cross_entropy(net(noisy), labels[part]).backward()  # type: ignore[no-untyped-call]
            descent.step()
    return net


def test_fakes_are_of_the_class_that_was_asked_for(tmp_path: Path) -> None:
    """Fashion-MNIST at 14 pixels, so that seconds are enough; nets smaller than the published, at a higher rate."""
    with np.load(FASHION) as file:
        pictures, classes = file["images"][..., None], file["labels"].astype(np.int64)
    images, labels = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1, torch.from_numpy(classes)
    held_out, fitted = torch.split(torch.randperm(len(images), generator=torch.Generator().manual_seed(0)), [600, 2400])
    read = reader(images[fitted], labels[fitted])
    right = float((read(images[held_out]).argmax(1) == labels[held_out]).float().mean())
    assert right > 0.8, f"the reader is right on {right:.0%} of reals it has not seen"

    data = in_memory(pictures, classes)
    settings = {"lr": 1e-3, "dropout": 0.2, "ema": 2000, "hidden_g": (256, 256), "hidden_d": (256, 256)}
    gan, config = configured("cgan", data.shape, settings, labels=10)
    torch.manual_seed(0)
    G = advance(Trainer(gan(config), Feed(data, CPU, seed=3), tmp_path, seed=3), 1200).ema.average
    wanted = torch.arange(10).repeat(50)
    with torch.no_grad():
        fakes = G(G.seeded(range(500)), wanted)
    share = float((read(fakes).argmax(1) == wanted).float().mean())
    assert share >= 0.9, f"{share:.0%} of the fakes are read as what was asked for"
    spread = torch.stack([fakes[wanted == label].std(0).mean() for label in range(10)])
    assert spread.min() > 0.05, "within a class they differ"
