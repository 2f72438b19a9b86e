"""Modulated convolutions are what the paper writes: one convolution a picture, by weights of its own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from simulacra.layers import ModulatedConv2d, ModulatedPixels, blur

SIDES = {"same": False, "up": True}


def layer_and_inputs(up: bool) -> tuple[ModulatedConv2d, Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    layer = ModulatedConv2d(3, 5, 3, up=up, gain=1.5).double()
    side = 8 if up else 4
    return (
        layer,
        torch.randn(2, 3, 4, 4, dtype=torch.double, requires_grad=True),
        (torch.randn(2, 3, dtype=torch.double) + 1).requires_grad_(),
        torch.randn(2, 1, side, side, dtype=torch.double),
    )


def by_definition(layer: ModulatedConv2d, x: Tensor, s: Tensor, added: Tensor) -> Tensor:
    """Equations 1 and 3, picture by picture."""
    rows = []
    for picture, style, more in zip(x, s, added, strict=True):
        weight = layer.convolution.weight * layer.scale
        weight = weight.transpose(0, 1) if layer.up else weight  # [C', C, 3, 3]
        weight = weight * style[None, :, None, None]
        weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if layer.up:
            apart = blur(F.conv_transpose2d(picture[None], weight.transpose(0, 1), stride=2), padding=1, gain=4.0)
        else:
            apart = F.conv2d(picture[None], weight, padding=1)
        rows.append(1.5 * apart + more)
    return torch.cat(rows)


@pytest.mark.parametrize("kind", SIDES)
def test_it_is_its_definition_to_the_second_derivative(kind: str) -> None:
    layer, x, s, added = layer_and_inputs(SIDES[kind])
    results = []
    for y in (layer(x, s, added), by_definition(layer, x, s, added)):
        slopes = torch.autograd.grad(y.tanh().sum(), [x, s, layer.convolution.weight], create_graph=True)
        loss = torch.stack([slope.square().sum() for slope in slopes]).sum()
        results.append([y, *slopes, *torch.autograd.grad(loss, [x, s, layer.convolution.weight])])
    for mine, expected in zip(*results, strict=True):
        torch.testing.assert_close(mine, expected)


@pytest.mark.parametrize("kind", SIDES)
def test_its_derivatives_are_finite_differences(kind: str) -> None:
    layer, x, s, _ = layer_and_inputs(SIDES[kind])
    x, s = x[:1].detach().requires_grad_(), s[:1].detach().requires_grad_()
    assert torch.autograd.gradcheck(layer, (x, s), fast_mode=True)
    assert torch.autograd.gradgradcheck(layer, (x, s), fast_mode=True)


def test_no_style_changes_the_variance() -> None:
    """Of independent pixels: each outgoing map has the gain as its deviation, whatever the style."""
    torch.manual_seed(0)
    layer = ModulatedConv2d(16, 8, 3, gain=1.5)
    styles = torch.stack([torch.ones(16), torch.full((16,), 100.0), torch.randn(16), torch.eye(16)[3]])
    with torch.no_grad():
        deviation = layer(torch.randn(4, 16, 64, 64), styles)[:, :, 1:-1, 1:-1].std((2, 3))
    torch.testing.assert_close(deviation, torch.full_like(deviation, 1.5), rtol=0.06, atol=0)


@pytest.mark.parametrize("kind", SIDES)
def test_the_size_of_a_style_does_not_matter(kind: str) -> None:
    layer, x, s, added = layer_and_inputs(SIDES[kind])
    torch.testing.assert_close(layer(x, 7 * s, added), layer(x, s, added), rtol=1e-6, atol=1e-6)


def test_doubling_moves_nothing() -> None:
    """A point comes out symmetrical about its own place, and a flat picture flat."""
    layer = ModulatedConv2d(1, 1, 3, up=True)
    torch.nn.init.constant_(layer.convolution.weight, 1.0)
    point = torch.zeros(1, 1, 9, 9)
    point[0, 0, 4, 4] = 1
    with torch.no_grad():
        y, flat = layer(point, torch.ones(1, 1)), layer(torch.ones(1, 1, 9, 9), torch.ones(1, 1))[0, 0, 4:-4, 4:-4]
    torch.testing.assert_close(y, y.flip(2, 3))
    torch.testing.assert_close(flat, flat[:1, :1].expand_as(flat))


def test_pixels_are_a_convolution_of_each_picture() -> None:
    torch.manual_seed(0)
    layer = ModulatedPixels(4, 3).double()
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, 4, 3, 5, dtype=torch.double).requires_grad_()
    s = torch.randn(2, 4, dtype=torch.double).requires_grad_()
    weights = [layer.weight * style / 2 for style in s]  # √4 channels
    apart = [F.conv2d(x[i : i + 1], weights[i][:, :, None, None], layer.bias) for i in range(2)]
    torch.testing.assert_close(layer(x, s), torch.cat(apart))
    assert torch.autograd.gradgradcheck(layer, (x, s), fast_mode=True)


def test_channels_last_stays() -> None:
    """Or every layer after it would be slower."""
    x = torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    for up in SIDES.values():
        y = ModulatedConv2d(3, 5, 3, up=up)(x, torch.ones(2, 3), torch.randn(2, 1, 8, 8) if up else torch.zeros(()))
        assert y.is_contiguous(memory_format=torch.channels_last)
    assert ModulatedPixels(3, 3)(x, torch.ones(2, 3)).is_contiguous(memory_format=torch.channels_last)
