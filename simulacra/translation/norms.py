"""Instance norms with fixed statistics, so that tiles of a picture are normalised like the whole.

An instance norm subtracts the mean of its input and divides by its standard deviation. A tile alone would be normalised
by its own statistics: a tile of sky would get another contrast than the same sky beside a house.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping

from torch import Tensor, nn

Statistics = dict[str, tuple[Tensor, Tensor]]  # of each norm by name: mean and variance [1, C, 1, 1]


@contextlib.contextmanager
def recorded_statistics(network: nn.Module) -> Iterator[Statistics]:
    """Each norm uses the statistics of its whole batch, as of one picture, and records them in the yielded dict.

    For a batch of one the result does not change. Meanwhile the network must not be used by another thread.
    """
    statistics: Statistics = {}

    def forward_of(name: str, norm: nn.InstanceNorm2d) -> Callable[[Tensor], Tensor]:
        def forward(x: Tensor) -> Tensor:
            mean = x.float().mean((0, 2, 3), keepdim=True)
            statistics[name] = mean, (x.float() - mean).square().mean((0, 2, 3), keepdim=True)
            return _normalise(norm, x, *statistics[name])

        return forward

    with _replaced_forward(network, forward_of):
        yield statistics


@contextlib.contextmanager
def fixed_statistics(network: nn.Module, statistics: Mapping[str, tuple[Tensor, Tensor]]) -> Iterator[None]:
    """Each norm uses `statistics`, as `recorded_statistics` yields them, for every input."""

    def forward_of(name: str, norm: nn.InstanceNorm2d) -> Callable[[Tensor], Tensor]:
        return lambda x: _normalise(norm, x, *statistics[name])

    with _replaced_forward(network, forward_of):
        yield


def _normalise(norm: nn.InstanceNorm2d, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """Equal to layers.InstanceNorm2d, to the bit."""
    centred, scale = x.float() - mean, (variance + norm.eps).rsqrt()
    if norm.affine:
        return (norm.bias[:, None, None] + centred * (scale * norm.weight[:, None, None])).to(x.dtype)
    return (centred * scale).to(x.dtype)


@contextlib.contextmanager
def _replaced_forward(
    network: nn.Module, forward_of: Callable[[str, nn.InstanceNorm2d], Callable[[Tensor], Tensor]]
) -> Iterator[None]:
    """Replace the `forward` of each instance norm until the block ends."""
    norms = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.InstanceNorm2d)]
    try:
        for name, norm in norms:
            norm.__dict__["forward"] = forward_of(name, norm)
        yield
    finally:
        for _, norm in norms:
            norm.__dict__.pop("forward", None)
