"""EfficientNet-lite0 as a feature extractor: batch norms folded into the convolutions, no classifier.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019, arXiv:1905.11946,
table 1, in the lite variant of the same authors: no squeeze-and-excitation, ReLU6 for swish.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

SIDE = 128  # pixels; the network was trained at 224 and takes any multiple of 32
BATCH_NORM_EPSILON = 1e-3


class Stage(NamedTuple):
    """A row of table 1; the first block has the stride."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STEM, HEAD = 32, 1280
STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
LAYERS = {"112": 112, "1280": HEAD}


class Convolution(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding: at stride 2, one more row below and one more column at the right."""

    def __init__(self, fan_in: int, fan_out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__(
            fan_in, fan_out, kernel, stride, groups=groups, padding=(kernel - 1) // 2 if stride == 1 else 0
        )
        less, more = (kernel - stride) // 2, (kernel - stride + 1) // 2
        self.margins = (less, more, less, more)  # left, right, top, bottom

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, fan_out, H / stride, W / stride]; H and W are multiples of the stride."""
        return super().forward(x if self.stride[0] == 1 else F.pad(x, self.margins))


class Block(nn.Module):
    """An inverted residual: expand, depthwise convolution, project without an activation."""

    def __init__(self, fan_in: int, stage: Stage, stride: int) -> None:
        super().__init__()
        wide = fan_in * stage.expansion
        self.expand = Convolution(fan_in, wide) if stage.expansion > 1 else None
        self.depthwise = Convolution(wide, wide, stage.kernel, stride, groups=wide)
        self.project = Convolution(wide, stage.channels)
        self.residual = stride == 1 and fan_in == stage.channels

    def forward(self, x: Tensor) -> Tensor:
        """[N, fan_in, H, W] -> [N, channels, H / stride, W / stride]."""
        wide = x if self.expand is None else F.relu6(self.expand(x))
        narrow: Tensor = self.project(F.relu6(self.depthwise(wide)))
        return x + narrow if self.residual else narrow


class EfficientNetLite0(nn.Module):
    """Pictures -> the spatial means of two layers."""

    middle = sum(stage.blocks for stage in STAGES[:5])  # blocks up to the last one at stride 16 with 112 channels

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(3, STEM, 3, 2)
        blocks, fan_in = [], STEM
        for stage in STAGES:
            for number in range(stage.blocks):
                blocks.append(Block(fan_in, stage, 1 if number else stage.stride))
                fan_in = stage.channels
        self.blocks = nn.ModuleList(blocks)
        self.head = Convolution(fan_in, HEAD)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures [N, 3, SIDE, SIDE] in 0..255 -> features [N, 112], [N, 1280]."""
        x = F.relu6(self.stem((pictures - 127) / 128))
        for block in self.blocks[: self.middle]:
            x = block(x)
        middle = x  # [N, 112, 8, 8]
        for block in self.blocks[self.middle :]:
            x = block(x)
        last = F.relu6(self.head(x))  # [N, 1280, 4, 4]
        return middle.mean((2, 3)), last.mean((2, 3))


def _folded(state: dict[str, Tensor], convolution: str, norm: str) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution with the batch norm after it folded in; removes both from `state`."""
    weight = state.pop(f"{convolution}.weight")
    scale = state.pop(f"{norm}.weight") / (state.pop(f"{norm}.running_var") + BATCH_NORM_EPSILON).sqrt()
    state.pop(f"{norm}.num_batches_tracked")
    bias = state.pop(f"{norm}.bias") - state.pop(f"{norm}.running_mean") * scale
    return weight * scale[:, None, None, None], bias


def _names(network: EfficientNetLite0) -> Iterator[tuple[str, str, str]]:
    """Every convolution: our name, and the file's names of it and of its batch norm."""
    yield "stem", "_conv_stem", "_bn0"
    for number, block in enumerate(network.blocks):
        for name, _ in block.named_children():
            norm = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}[name]
            yield f"blocks.{number}.{name}", f"_blocks.{number}._{name}_conv", f"_blocks.{number}.{norm}"
    yield "head", "_conv_head", "_bn1"


def from_state(published: Mapping[str, Tensor]) -> EfficientNetLite0:
    """The network with the published weights, in eval mode. Raises KeyError or RuntimeError if they do not fit."""
    state = {name: value.double() for name, value in published.items()}
    network = EfficientNetLite0()
    ours: dict[str, Tensor] = {}
    for name, convolution, norm in _names(network):
        weight, bias = _folded(state, convolution, norm)
        ours |= {f"{name}.weight": weight.float(), f"{name}.bias": bias.float()}
    if left := state.keys() - {"_fc.weight", "_fc.bias"}:  # the classifier is not needed
        raise KeyError(f"unknown weights: {', '.join(sorted(left))}")
    network.load_state_dict(ours)
    return network.eval().requires_grad_(False)
