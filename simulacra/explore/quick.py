"""A generator for one picture after the other on a processor, with its convolutions' weights put in order once."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from simulacra import layers
from simulacra.generator import Generator

# Exactly these: those derived from them may compute their weight anew each time, as spectral normalisation does.
KINDS = (nn.Conv2d, nn.ConvTranspose2d, layers.Conv2d, layers.ConvTranspose2d)
LEVEL = 1 / 127.5  # of 255, in pictures of [-1, 1]
TRIED = 0  # the seed that both are compared on


class Packed(nn.Module):
    """A convolution, transposed or not, whose weight is kept as oneDNN wants it for pictures of the size first met.

    `nn.Conv2d` puts it in that order at every call, which takes as long as the sums where there is only one picture. The
    operators are those of torch's own compiler; they are not public, so that `quickened` tries whether they are there.
    """

    def __init__(self, layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
        super().__init__()
        self.turned = isinstance(layer, nn.ConvTranspose2d)
        extra = [list(layer.output_padding)] if self.turned else []
        self.how = [list(layer.padding), *extra, list(layer.stride), list(layer.dilation), layer.groups]
        self.weight: Tensor = layer.weight.detach()
        self.bias = None if layer.bias is None else layer.bias.detach()
        self.size: list[int] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C', H', W']."""
        ops = torch.ops.mkldnn
        if self.size is None:
            self.size = list(x.shape)
            reorder = ops._reorder_convolution_transpose_weight if self.turned else ops._reorder_convolution_weight
            self.weight = reorder(self.weight, *self.how, self.size)
        convolve = ops._convolution_transpose_pointwise if self.turned else ops._convolution_pointwise
        made: Tensor = convolve(x, self.weight, self.bias, *self.how, "none", [], "")
        return made


@torch.inference_mode()
def quickened(generator: Generator) -> Generator:
    """The same generator for one picture at a time, in less time.

    Its sums are in another order, so that a level of 255 may differ here and there: for looking, not for keeping.
    """
    plain: Generator = copy.deepcopy(generator).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    try:
        packed = copy.deepcopy(plain)
        _pack(packed)
        if _gap(packed, generator) < LEVEL:
            return packed
    except (AttributeError, NotImplementedError, RuntimeError):
        pass  # another version of torch, or one without oneDNN
    return plain


def _pack(module: nn.Module) -> None:
    """Put a packed convolution in place of each plain one, all the way down."""
    for name, child in module.named_children():
        if type(child) in KINDS and child.padding_mode == "zeros" and not isinstance(child.padding, str):
            setattr(module, name, Packed(child))  # type: ignore[arg-type]
        else:
            _pack(child)


def _gap(packed: Generator, generator: Generator) -> float:
    w = generator.mapping(generator.seeded([TRIED]), generator.labelled([TRIED]))
    return float((packed.synthesis(w).float() - generator.synthesis(w).float()).abs().max())
