"""The layers agree with torch's own, to the second derivative."""

import pytest
import torch
from torch import nn

from simulacra import layers

PAIRS = {
    "strided": (layers.Conv2d, nn.Conv2d, (3, 5, 4, 2, 1)),
    "odd sides": (layers.Conv2d, nn.Conv2d, (3, 5, (3, 2), (2, 1), (0, 1))),
    "stride 1": (layers.Conv2d, nn.Conv2d, (3, 5, 3, 1, 1)),
    "transposed": (layers.ConvTranspose2d, nn.ConvTranspose2d, (3, 5, 4, 2, 1)),
    "transposed, kernel 5": (layers.ConvTranspose2d, nn.ConvTranspose2d, (3, 5, 5, 2, 2, 1)),
    "instance norm": (layers.InstanceNorm2d, nn.InstanceNorm2d, (3, 1e-5, 0.1, True)),
}


def derivatives(module: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    x = x.clone().requires_grad_()
    y = module(x)
    (slope,) = torch.autograd.grad(y.tanh().sum(), x, create_graph=True)
    loss = slope.square().sum() + y.square().sum()
    return [y, slope, *torch.autograd.grad(loss, [x, *module.parameters()])]


@pytest.mark.parametrize("name", PAIRS)
def test_equal_to_torch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "PATCHES", 500)  # several chunks
    torch.manual_seed(0)
    ours, theirs, arguments = PAIRS[name]
    mine, reference = ours(*arguments).double(), theirs(*arguments).double()
    reference.load_state_dict(mine.state_dict())
    x = torch.randn(4, 3, 9, 8, dtype=torch.double)
    for a, b in zip(derivatives(mine, x), derivatives(reference, x), strict=True):
        torch.testing.assert_close(a, b)
    assert torch.autograd.gradgradcheck(mine, x[:1, :, :5, :4].clone().requires_grad_())


def test_matrix_products_are_used() -> None:
    x = torch.randn(2, 3, 8, 8)
    assert type(layers.Conv2d(3, 5, 4, 2, 1)(x).grad_fn).__name__ == "_GatherBackward"
    assert type(layers.ConvTranspose2d(3, 5, 4, 2, 1)(x).grad_fn).__name__ == "_ScatterBackward"
    assert type(layers.Conv2d(3, 5, 5, 1, 2)(x).grad_fn).__name__ == "ConvolutionBackward0"
