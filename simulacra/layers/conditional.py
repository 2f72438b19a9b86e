"""Conditioning on labels y [N, labels], one-hot classes or attributes: conditional norms for G, projection for D."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from simulacra.layers.renamed import RenamedTensors


class ConditionalNorm(RenamedTensors):
    """A norm whose gains and biases are linear in labels (Dumoulin et al. 2017; de Vries et al. 2017), z or both.

    With z it is self-modulation (Chen et al. 2019, arXiv:1810.01365, equation 3), without a hidden layer.
    """

    renamed_tensors: ClassVar[Mapping[str, str]] = {"told": "affine"}

    def __init__(self, norm: nn.Module, channels: int, labels: int, latent: int = 0) -> None:
        """norm: a norm without gains and biases, such as `nn.BatchNorm2d(channels, affine=False)`."""
        super().__init__()
        self.norm, self.latent = norm, latent
        self.affine = nn.Linear(latent + labels, 2 * channels)  # gains minus 1, and biases
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """x [N, C, H, W], y [N, latent + labels] -> the same shape as x."""
        gain, bias = self.affine(y)[:, :, None, None].chunk(2, 1)
        return torch.addcmul(bias, self.norm(x), 1 + gain)


class LabelProjection(nn.Module):
    """<V y, φ(x)>: the label term of the logit f(φ(x)) + <V y, φ(x)> (Miyato & Koyama 2018, equation 4)."""

    def __init__(self, labels: int, channels: int) -> None:
        super().__init__()
        self.embedding = nn.Linear(labels, channels, bias=False)  # V

    def forward(self, features: Tensor, y: Tensor) -> Tensor:
        """features [N, C, H, W] (summed over H and W) or [N, C], y [N, labels] -> [N]."""
        pooled = features.flatten(2).sum(2) if features.dim() > 2 else features
        inner: Tensor = (self.embedding(y) * pooled).sum(1)
        return inner
