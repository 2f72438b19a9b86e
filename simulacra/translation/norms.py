"""Instance norms that normalise by given statistics, so that the parts of a picture are treated as the whole is.

An instance norm subtracts the mean of the whole picture and divides by its deviation. A tile alone would be normalised
by its own: a tile of sky would come out with another contrast than the same sky beside a house.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping

from torch import Tensor, nn

Statistics = dict[str, tuple[Tensor, Tensor]]  # of each norm by its name: mean and variance [1, C, 1, 1]


@contextlib.contextmanager
def measuring(network: nn.Module) -> Iterator[Statistics]:
    """Each norm takes the statistics of its whole batch, as if that were one picture, and they are kept.

    For a batch of one nothing else changes. A network is for one thread at a time meanwhile.
    """
    kept: Statistics = {}

    def made(name: str, norm: nn.InstanceNorm2d) -> Callable[[Tensor], Tensor]:
        def forward(x: Tensor) -> Tensor:
            mean = x.float().mean((0, 2, 3), keepdim=True)
            kept[name] = mean, (x.float() - mean).square().mean((0, 2, 3), keepdim=True)
            return _normalised(norm, x, *kept[name])

        return forward

    with _replaced(network, made):
        yield kept


@contextlib.contextmanager
def given(network: nn.Module, statistics: Mapping[str, tuple[Tensor, Tensor]]) -> Iterator[None]:
    """Each norm takes `statistics`, as `measuring` yields them, whatever it is shown."""

    def made(name: str, norm: nn.InstanceNorm2d) -> Callable[[Tensor], Tensor]:
        return lambda x: _normalised(norm, x, *statistics[name])

    with _replaced(network, made):
        yield


def _normalised(norm: nn.InstanceNorm2d, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """As layers.InstanceNorm2d does it, to the bit."""
    centred, scale = x.float() - mean, (variance + norm.eps).rsqrt()
    if norm.affine:
        return (norm.bias[:, None, None] + centred * (scale * norm.weight[:, None, None])).to(x.dtype)
    return (centred * scale).to(x.dtype)


@contextlib.contextmanager
def _replaced(
    network: nn.Module, made: Callable[[str, nn.InstanceNorm2d], Callable[[Tensor], Tensor]]
) -> Iterator[None]:
    """What `made` returns is each instance norm's `forward` until the block ends."""
    norms = [(name, each) for name, each in network.named_modules() if isinstance(each, nn.InstanceNorm2d)]
    try:
        for name, norm in norms:
            norm.__dict__["forward"] = made(name, norm)
        yield
    finally:
        for _, norm in norms:
            norm.__dict__.pop("forward", None)
