"""Conditioning on y [N, labels], one-hot classes or attributes, by linear maps: in norms of G, and in D's logit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from simulacra.layers.renamed import RenamedTensors


class ConditionalNorm(RenamedTensors):
    """A norm whose gains and biases are linear in y (conditional batch norm: Dumoulin et al. 2017; de Vries et al. 2017)."""

    renamed_tensors: ClassVar[Mapping[str, str]] = {"told": "affine"}

    def __init__(self, norm: nn.Module, channels: int, labels: int) -> None:
        """norm: one without gains and biases of its own, such as `nn.BatchNorm2d(channels, affine=False)`."""
        super().__init__()
        self.norm = norm
        self.affine = nn.Linear(labels, 2 * channels)  # gains less 1, and biases
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """x [N, C, H, W], y [N, labels] -> the same shape as x."""
        gain, bias = self.affine(y)[:, :, None, None].chunk(2, 1)
        return torch.addcmul(bias, self.norm(x), 1 + gain)


class LabelProjection(nn.Module):
    """<V y, φ(x)>: the term of y in a logit f(φ(x)) + <V y, φ(x)> (Miyato & Koyama 2018, equation 4)."""

    def __init__(self, labels: int, channels: int) -> None:
        super().__init__()
        self.embedding = nn.Linear(labels, channels, bias=False)  # V

    def forward(self, features: Tensor, y: Tensor) -> Tensor:
        """The last features [N, C, H, W], summed over the picture, or [N, C]; y [N, labels] -> [N]."""
        pooled = features.flatten(2).sum(2) if features.dim() > 2 else features
        inner: Tensor = (self.embedding(y) * pooled).sum(1)
        return inner
