"""How close pictures are to one target: pixels at several scales, and the feature maps of a network.

Feature maps are compared as in Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric",
2018, arXiv:1801.03924, without their learned weights: unit vectors over channels, squared differences, spatial mean.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simulacra.measure.extractors import efficientnet, weights
from simulacra.measure.extractors.features import preprocess

SCALES = 4  # 1, 1/2, 1/4 and 1/8 of the side
SMALLEST = 4  # pixels of a side: it is not halved further
TAPPED = (0, 2, 4, 10)  # blocks whose output is compared, at 1/2, 1/4, 1/8 and 1/16 of the side


class Maps(nn.Module):
    """The feature maps of EfficientNet-lite0 that comes along, as far as they are compared."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        network = weights.load_network(weights.bundled_weights(None), "efl0", efficientnet.from_state)
        self.stem, self.blocks = network.stem, network.blocks[: TAPPED[-1] + 1]
        self.to(device)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Pictures [N, C, H, W] in [-1, 1] -> unit vectors over channels [N, C', h, w], with gradients."""
        side = (efficientnet.SIDE, efficientnet.SIDE)
        x = F.interpolate(preprocess(pictures, rounded=False).contiguous(), side, mode="bicubic", antialias=True)
        x = F.relu6(self.stem((x - 127) / 128))
        found = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in TAPPED:
                found.append(F.normalize(x, dim=1, eps=1e-6))
        return found


@functools.cache
def maps_on(device: torch.device) -> Maps:
    """The network on a device, read once."""
    return Maps(device)


class Closeness:
    """The distance of pictures to one target [C, H, W]."""

    def __init__(self, target: Tensor) -> None:
        self.maps = maps_on(target.device)
        with torch.no_grad():
            self.scales, self.features = _pyramid(visible(target[None])), self.maps(target[None])

    def pixels(self, pictures: Tensor) -> Tensor:
        """Pictures [N, C, H, W] -> the mean square difference over scales [N], in shares of white."""
        pairs = zip(_pyramid(visible(pictures)), self.scales, strict=True)
        return torch.stack([(one - other).square().mean((1, 2, 3)) for one, other in pairs]).mean(0)

    def perceived(self, pictures: Tensor) -> Tensor:
        """Pictures [N, C, H, W] -> the distance of their feature maps [N], from 0 to 4."""
        pairs = zip(self.maps(pictures), self.features, strict=True)
        return torch.stack([(one - other).square().sum(1).mean((1, 2)) for one, other in pairs]).mean(0)


def visible(pictures: Tensor) -> Tensor:
    """Pictures [N, C, H, W] in [-1, 1] -> in [0, 1], colours by their alpha: what is invisible has none."""
    x = pictures.float() / 2 + 0.5
    return torch.cat([x[:, :3] * x[:, 3:], x[:, 3:]], 1) if x.shape[1] == 4 else x


def psnr(pictures: Tensor, target: Tensor) -> Tensor:
    """The peak signal-to-noise ratio in dB of pictures [N, C, H, W] to a target [C, H, W], both as 8 bits: [N]."""
    one, other = (visible(rounded(each)) for each in (pictures, target[None]))
    error = (one - other).square().mean((1, 2, 3)).clamp(min=1e-10)  # equal pictures have 100 dB
    return -10 * error.log10()


def rounded(pictures: Tensor) -> Tensor:
    """Pictures in [-1, 1] as a file of 8 bits would keep them."""
    return (pictures.clamp(-1, 1) * 127.5 + 127.5).round() / 127.5 - 1


def _pyramid(pictures: Tensor) -> list[Tensor]:
    found = [pictures]
    while len(found) < SCALES and min(found[-1].shape[2:]) >= 2 * SMALLEST:
        found.append(F.avg_pool2d(found[-1], 2))
    return found
