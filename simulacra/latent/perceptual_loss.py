"""Distance of pictures to one target: pixels at several scales, and feature maps of a network.

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
MIN_SIDE = 4  # pixels: a smaller side is not halved further
BLOCKS = (0, 2, 4, 10)  # whose outputs are compared, at 1/2, 1/4, 1/8 and 1/16 of the side


class FeatureMaps(nn.Module):
    """The bundled EfficientNet-lite0, up to the last block that is compared."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        network = weights.load_network(weights.bundled_weights(None), "efl0", efficientnet.from_state)
        self.stem, self.blocks = network.stem, network.blocks[: BLOCKS[-1] + 1]
        self.to(device)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Pictures [N, C, H, W] in [-1, 1] -> unit vectors over channels [N, C', h, w], differentiable."""
        side = (efficientnet.SIDE, efficientnet.SIDE)
        x = F.interpolate(preprocess(pictures, rounded=False).contiguous(), side, mode="bicubic", antialias=True)
        x = F.relu6(self.stem((x - 127) / 128))
        features = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in BLOCKS:
                features.append(F.normalize(x, dim=1, eps=1e-6))
        return features


@functools.cache
def feature_maps(device: torch.device) -> FeatureMaps:
    """The network on a device; its file is read once."""
    return FeatureMaps(device)


class PerceptualLoss:
    """Distance of pictures to one target [C, H, W]."""

    def __init__(self, target: Tensor) -> None:
        self.network = feature_maps(target.device)
        with torch.no_grad():
            self.scales, self.maps = _pyramid(premultiply(target[None])), self.network(target[None])

    def pixels(self, pictures: Tensor) -> Tensor:
        """Pictures [N, C, H, W] -> mean squared difference over scales [N], where white is 1."""
        pairs = zip(_pyramid(premultiply(pictures)), self.scales, strict=True)
        return torch.stack([(a - b).square().mean((1, 2, 3)) for a, b in pairs]).mean(0)

    def features(self, pictures: Tensor) -> Tensor:
        """Pictures [N, C, H, W] -> distance of their feature maps [N], from 0 to 4."""
        pairs = zip(self.network(pictures), self.maps, strict=True)
        return torch.stack([(a - b).square().sum(1).mean((1, 2)) for a, b in pairs]).mean(0)


def premultiply(pictures: Tensor) -> Tensor:
    """Pictures [N, C, H, W] in [-1, 1] -> in [0, 1], colours times alpha: invisible pixels have no colour."""
    x = pictures.float() / 2 + 0.5
    return torch.cat([x[:, :3] * x[:, 3:], x[:, 3:]], 1) if x.shape[1] == 4 else x


def psnr(pictures: Tensor, target: Tensor) -> Tensor:
    """Peak signal-to-noise ratio [N] in dB of pictures [N, C, H, W] and a target [C, H, W], both as 8 bits."""
    a, b = (premultiply(quantise(images)) for images in (pictures, target[None]))
    error = (a - b).square().mean((1, 2, 3)).clamp(min=1e-10)  # 100 dB for equal pictures
    return -10 * error.log10()


def quantise(pictures: Tensor) -> Tensor:
    """Pictures in [-1, 1], rounded as an 8-bit file stores them."""
    return (pictures.clamp(-1, 1) * 127.5 + 127.5).round() / 127.5 - 1


def _pyramid(pictures: Tensor) -> list[Tensor]:
    levels = [pictures]
    while len(levels) < SCALES and min(levels[-1].shape[2:]) >= 2 * MIN_SIDE:
        levels.append(F.avg_pool2d(levels[-1], 2))
    return levels
