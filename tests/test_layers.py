"""The layers agree with torch's own, to the second derivative."""

from typing import Any

import pytest
import torch
from support import build, forms, translating
from torch import Tensor, nn
from torch.nn import functional as F

from simulacra import layers
from simulacra.layers import convolution
from simulacra.layers.renamed import RenamedTensors


class Doubled(nn.Conv2d):
    def __init__(self, inner: int, outer: int) -> None:
        super().__init__(inner, outer, 3, padding=1)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(F.interpolate(input, scale_factor=2))


class Halved(nn.Conv2d):
    def __init__(self, inner: int, outer: int) -> None:
        super().__init__(inner, outer, 3, padding=1)

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool2d(super().forward(input), 2)


PAIRS = {
    "doubling": (layers.DoublingConv2d, Doubled, (3, 5)),
    "halving": (layers.HalvingConv2d, Halved, (3, 5)),
    "strided": (layers.Conv2d, nn.Conv2d, (3, 5, 4, 2, 1)),
    "odd sides": (layers.Conv2d, nn.Conv2d, (3, 5, (3, 2), (2, 1), (0, 1))),
    "stride 1": (layers.Conv2d, nn.Conv2d, (3, 5, 3, 1, 1)),
    "groups": (layers.GroupedConv2d, nn.Conv2d, (3, 6, 3, 1, 1, 1, 3)),
    "groups, strided": (layers.GroupedConv2d, nn.Conv2d, (3, 9, 4, 2, 1, 1, 3, False)),
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
    monkeypatch.setattr(convolution, "PATCHES", 500)  # several chunks
    torch.manual_seed(0)
    ours, theirs, arguments = PAIRS[name]
    mine, reference = ours(*arguments).double(), theirs(*arguments).double()
    reference.load_state_dict(mine.state_dict())
    x = torch.randn(4, 3, 9, 8, dtype=torch.double)
    for a, b in zip(derivatives(mine, x), derivatives(reference, x), strict=True):
        torch.testing.assert_close(a, b)
    assert torch.autograd.gradgradcheck(mine, x[:1, :, :5, :4].clone().requires_grad_())


@pytest.mark.parametrize(
    ("bf16", "avx512", "expected"),
    [
        (True, True, {"small": True, "wide": True, "large": False, "many": True, "stride 1": True}),
        (False, True, {"small": True, "wide": False, "large": False, "many": False, "stride 1": True}),
        (False, False, {"small": True, "wide": True, "large": True, "many": True, "stride 1": False}),
    ],
)
def test_the_weight_gradient_is_a_matrix_product_where_that_is_faster(
    bf16: bool, avx512: bool, expected: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convolution, "AVX512", avx512)
    layers_of = {
        "small": (2, 3, 8, 4),
        "wide": (2, 128, 16, 4),
        "large": (2, 3, 32, 4),
        "many": (64, 3, 8, 4),
        "stride 1": (2, 3, 4, 3),
    }
    used = {}
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        for name, (n, channels, side, kernel) in layers_of.items():
            stride = 2 if kernel == 4 else 1
            down = layers.Conv2d(channels, 128, kernel, stride, 1)(torch.zeros(n, channels, side, side))
            up = layers.ConvTranspose2d(128, channels, kernel, stride, 1)(down)
            products = [
                type(y.grad_fn).__name__ in ("_ConvolveBackward", "_ConvolveTransposedBackward") for y in (down, up)
            ]
            assert products[0] == products[1]
            used[name] = products[0]
    assert used == expected


@pytest.mark.parametrize(
    ("layer", "side"),
    [(layers.Conv2d(4, 128, 4, 2, 1), 8), (layers.GroupedConv2d(4, 8, 3, 1, 1, groups=4), 6)],
    ids=["matrix products", "groups"],
)
def test_differentiates_twice_under_autocast(layer: nn.Module, side: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, side, side)
    exact = derivatives(layer, x)
    with torch.autocast("cpu", torch.bfloat16):
        coarse = derivatives(layer, x)
    assert coarse[0].dtype == torch.bfloat16 and coarse[2].dtype == torch.float32
    for a, b in zip(coarse, exact, strict=True):
        torch.testing.assert_close(a.float(), b, rtol=0.1, atol=0.1 * float(b.abs().max()))


@pytest.mark.parametrize(
    "how", [{"padding": 2}, {"padding": 1, "gain": 4.0}, {"padding": 1, "stride": 2}, {"padding": 0, "stride": 2}]
)
def test_blur_is_a_convolution_to_the_second_derivative(how: dict[str, int]) -> None:
    torch.manual_seed(0)
    row = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.double) / 8
    kernel = (how.get("gain", 1) * row[:, None] * row).expand(3, 1, 4, 4)
    x = torch.randn(2, 3, 8, 7, dtype=torch.double, requires_grad=True)

    def plain(x: Tensor) -> Tensor:
        return F.conv2d(x, kernel, stride=how.get("stride", 1), padding=how["padding"], groups=3)

    def blurred(x: Tensor) -> Tensor:
        return layers.blur(x, **how)

    results = []
    for y in (blurred(x), plain(x)):
        (slope,) = torch.autograd.grad(y.tanh().sum(), x, create_graph=True)
        results.append([y, slope, *torch.autograd.grad(slope.square().sum(), x)])
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs)
    assert torch.autograd.gradgradcheck(blurred, x)
    with torch.no_grad():
        torch.testing.assert_close(blurred(x), plain(x))


def test_halving_is_the_adjoint_of_doubling() -> None:
    """Away from the edges, where doubling repeats the last pixel."""
    x, y = torch.randn(1, 2, 8, 8), torch.zeros(1, 2, 4, 4)
    y[:, :, 1:3, 1:3] = torch.randn(2, 2, 2)
    torch.testing.assert_close((layers.downsample(x) * y).sum(), (x * layers.upsample(y)).sum() / 4)


def test_equalised_convolutions_scale_whichever_is_smaller() -> None:
    layer = layers.EqualisedConv2d(4, 6, 3, gain=2.0)
    for n, side in ((1, 2), (8, 16)):
        x = torch.randn(n, 4, side, side)
        expected = F.conv2d(x, layer.weight * 2 / 6, layer.bias, padding=1)
        torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("n", [1, 6, 8])
def test_the_deviation_within_a_group(n: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(n, 3, 2, 2)
    y = layers.minibatch_stddev(x, 4)
    size = {1: 1, 6: 3, 8: 4}[n]
    groups = x.view(size, n // size, 3, 2, 2)
    expected = (groups.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3)).repeat(size)
    torch.testing.assert_close(y[:, :3], x)
    torch.testing.assert_close(y[:, 3], expected[:, None, None].expand(n, 2, 2))


@pytest.mark.parametrize("spec", [*forms(), *translating(), "dcgan:tiny+ada"])
def test_tensors_load_under_their_former_names(spec: str) -> None:
    settings: dict[str, Any] = {"augment": "ada"} if spec.endswith("+ada") else {}
    gan = build(spec.removesuffix("+ada"), **settings)
    saved = {key: torch.full_like(value, n) for n, (key, value) in enumerate(gan.state_dict().items())}
    former = dict(saved)
    for prefix, module in reversed(list(gan.named_modules())):  # inner modules first, as their prefixes change
        for old, new in module.renamed_tensors.items() if isinstance(module, RenamedTensors) else ():
            start = f"{prefix}.{new}" if prefix else new
            for key in [key for key in former if f"{key}.".startswith(f"{start}.")]:
                former[start.removesuffix(new) + old + key.removeprefix(start)] = former.pop(key)
    gan.load_state_dict(former)
    assert {key: value.tolist() for key, value in gan.state_dict().items()} == {k: v.tolist() for k, v in saved.items()}


def test_doublings_that_start_as_interpolation_leave_flat_areas_flat() -> None:
    for start, flat in (("bilinear", True), ("normal", False)):
        G = build("dcgan:tiny", start=start).G
        for layer in (module for module in G.modules() if isinstance(module, nn.ConvTranspose2d)):
            inside = layer(torch.ones(1, layer.in_channels, 6, 6))[..., 2:-2, 2:-2]
            assert torch.allclose(inside, inside[..., :1, :1], atol=1e-5) == flat
            assert float(layer.weight.detach().std()) == pytest.approx(0.02, rel=0.3)


def test_a_wide_linear_layer_is_computed_in_fp32() -> None:
    """A product of 32 x 49152 in bf16 kills the process on some processors, so that only fp32 is tried here."""
    torch.manual_seed(0)
    for sizes in ((3 * 128 * 128, 4), (4, 3 * 128 * 128)):
        layer, plain = layers.Linear(*sizes), nn.Linear(*sizes)
        plain.load_state_dict(layer.state_dict())
        x = torch.randn(32, sizes[0], requires_grad=True)
        with torch.autocast("cpu", torch.bfloat16):
            y = layer(x.bfloat16().float())
        assert torch.equal(y, plain(x.bfloat16().float()))
        y.sum().backward()
        assert x.grad is not None and x.grad.isfinite().all()
    with torch.autocast("cpu", torch.bfloat16):
        assert layers.Linear(8, 4)(torch.randn(2, 8)).dtype == torch.bfloat16
