"""DCGAN's networks: dropout in G, pooling by the maximum, biases before norms."""

from __future__ import annotations

from typing import Any

import torch
from support import build
from torch import nn

from simulacra.gan import Batch


@torch.no_grad()
def test_dropout_in_g_is_for_training_alone() -> None:
    plain, dropped = build("dcgan:tiny").G, build("dcgan:tiny", dropout_g=0.5).G
    for generator, count in ((plain, 0), (dropped, 2)):  # after each hidden layer of a picture of 16 px
        assert sum(isinstance(layer, nn.Dropout) for layer in generator.layers) == count
    w = dropped.seeded([1, 2, 3])
    norms = [layer for layer in dropped.layers if isinstance(layer, nn.BatchNorm2d)]
    dropped.train()
    for norm in norms:
        norm.eval()  # leaves dropout as the only difference
    assert not torch.equal(dropped.synthesis(w), dropped.synthesis(w))
    dropped.eval()
    assert torch.equal(dropped.synthesis(w), dropped.synthesis(w))


@torch.no_grad()
def test_pooling_by_the_maximum() -> None:
    D: Any = build("dcgan:tiny", downsample="max", norm_d="none").D
    convolution, pool = D.layers[:2]
    images = torch.randn(2, 3, 16, 16)
    maps = convolution(images)
    assert maps.shape[2:] == (16, 16)
    torch.testing.assert_close(pool(maps), maps.unflatten(2, (8, 2)).unflatten(4, (8, 2)).amax((3, 5)))
    assert D(images).shape == (2,)


def test_a_penalty_on_the_gradient_goes_through_the_maximum() -> None:
    gan = build("wgan-gp:tiny", downsample="max")
    loss, _ = gan.d_loss(Batch(torch.rand(4, 3, 16, 16) * 2 - 1))
    loss.backward()  # type: ignore[no-untyped-call]
    assert next(gan.D.parameters()).grad is not None


def test_biases_before_norms_are_there_and_batch_norm_cancels_them() -> None:
    generator = build("dcgan:tiny", bias=True).G.train()
    doublings = [layer for layer in generator.layers if isinstance(layer, nn.ConvTranspose2d)]
    assert len(doublings) == 2 and doublings[0].bias is not None
    assert [layer.bias is None for layer in build("dcgan:tiny").G.layers if isinstance(layer, nn.ConvTranspose2d)] == [
        True,
        False,
    ]
    w = generator.seeded(range(8))
    with torch.no_grad():
        before = generator.synthesis(w)
        doublings[0].bias.normal_()
        torch.testing.assert_close(generator.synthesis(w), before, rtol=1e-3, atol=1e-4)
        generator.layers[3] = nn.GroupNorm(1, 8)  # a layer norm does not
        assert not torch.allclose(generator.synthesis(w), before, atol=1e-3)
