"""A faster copy of a generator for one picture at a time on a CPU: the weights of its convolutions are reordered once."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from simulacra import layers
from simulacra.generator import Generator

# Exactly these types: derived ones may compute their weight anew at each call, as spectral normalisation does.
TYPES = (nn.Conv2d, nn.ConvTranspose2d, layers.Conv2d, layers.ConvTranspose2d)
TOLERANCE = 1 / 127.5  # one level of 255, in pictures of [-1, 1]
TEST_SEED = 0  # of the picture on which both generators are compared


class PrepackedConv(nn.Module):
    """A convolution, transposed or not, whose weight is stored in oneDNN's order for the first input's size.

    `nn.Conv2d` reorders its weight at every call, which takes as long as the sums of a single picture. The operators are
    those of torch's own compiler. They are not public, so that `prepacked` checks whether they exist.
    """

    def __init__(self, layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
        super().__init__()
        self.transposed = isinstance(layer, nn.ConvTranspose2d)
        extra = [list(layer.output_padding)] if self.transposed else []
        self.options = [list(layer.padding), *extra, list(layer.stride), list(layer.dilation), layer.groups]
        self.weight: Tensor = layer.weight.detach()
        self.bias = None if layer.bias is None else layer.bias.detach()
        self.size: list[int] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C', H', W']."""
        ops = torch.ops.mkldnn
        if self.size is None:
            self.size = list(x.shape)
            reorder = ops._reorder_convolution_transpose_weight if self.transposed else ops._reorder_convolution_weight
            self.weight = reorder(self.weight, *self.options, self.size)
        convolve = ops._convolution_transpose_pointwise if self.transposed else ops._convolution_pointwise
        y: Tensor = convolve(x, self.weight, self.bias, *self.options, "none", [], "")
        return y


@torch.inference_mode()
def prepacked(generator: Generator) -> Generator:
    """A faster copy of a generator for one picture at a time.

    It sums in another order, so that a picture may differ by a level of 255: good for looking, not for saving.
    """
    plain: Generator = copy.deepcopy(generator).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    try:
        fast = copy.deepcopy(plain)
        _prepack(fast)
        if _difference(fast, generator) < TOLERANCE:
            return fast
    except (AttributeError, NotImplementedError, RuntimeError):
        pass  # another version of torch, or one without oneDNN
    return plain


def _prepack(module: nn.Module) -> None:
    """Replace each plain convolution inside a module by a prepacked one."""
    for name, child in module.named_children():
        if type(child) in TYPES and child.padding_mode == "zeros" and not isinstance(child.padding, str):
            setattr(module, name, PrepackedConv(child))  # type: ignore[arg-type]
        else:
            _prepack(child)


def _difference(fast: Generator, generator: Generator) -> float:
    w = generator.mapping(generator.seeded([TEST_SEED]), generator.conditions([TEST_SEED]))
    return float((fast.synthesis(w).float() - generator.synthesis(w).float()).abs().max())
