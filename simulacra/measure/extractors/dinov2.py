"""DINOv2's vision transformer as a feature extractor: small, base or large, by the weight file.

Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", 2023, arXiv:2304.07193. The Fréchet
distance on the class token of the large network is FD-DINOv2 (Stein et al., "Exposing flaws of
generative model evaluation metrics", 2023, arXiv:2306.04675).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIDE, PATCH, HEAD = 224, 14, 64  # HEAD: dimensions of an attention head
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[N, T, width] -> the same."""
        n, tokens, width = x.shape
        qkv = self.qkv(x).view(n, tokens, 3, width // HEAD, HEAD)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # [N, heads, T, HEAD] each
        mixed: Tensor = self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return mixed


class Scale(nn.Module):
    """A factor for each dimension."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """[…, width] -> the same."""
        return x * self.gamma


class Block(nn.Module):
    """Residual attention and MLP, with norms before and scales after. Names are those of the weight file."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.attn, self.ls1, self.ls2 = Attention(width), Scale(width), Scale(width)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})

    def forward(self, x: Tensor) -> Tensor:
        """[N, T, width] -> the same."""
        x = x + self.ls1(self.attn(self.norm1(x)))
        changed: Tensor = x + self.ls2(self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x)))))
        return changed


class VisionTransformer(nn.Module):
    """Pictures -> the class token after the last norm."""

    def __init__(self, width: int, depth: int, places: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.mask_token = nn.Parameter(torch.zeros(1, width))  # used in training only, but part of the weight file
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + places, width))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, PATCH, PATCH)})
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width, 1e-6)

    def places(self) -> Tensor:
        """The learned positions [1, 1 + T, width], resized from the grid of the file to that of the picture."""
        first, rest = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        side = int(rest.shape[1] ** 0.5)
        grid = rest.view(1, side, side, -1).permute(0, 3, 1, 2)
        factor = (SIDE // PATCH + 0.1) / side  # 0.1 as in the published model
        grid = F.interpolate(grid, scale_factor=(factor, factor), mode="bicubic")
        return torch.cat([first, grid.flatten(2).transpose(1, 2)], 1)

    def forward(self, pictures: Tensor) -> tuple[Tensor]:
        """Pictures [N, 3, SIDE, SIDE] in 0..255 -> features [N, width]."""
        mean, deviation = (pictures.new_tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
        patches = self.patch_embed["proj"]((pictures / 255 - mean) / deviation).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], 1) + self.places()
        for block in self.blocks:
            x = block(x)
        return (self.norm(x[:, 0]),)


def from_state(published: Mapping[str, Tensor]) -> VisionTransformer:
    """The network with the published weights, in eval mode. Raises KeyError or RuntimeError if they do not fit."""
    depth = len({name.split(".")[1] for name in published if name.startswith("blocks.")})
    _, tokens, width = published["pos_embed"].shape
    network = VisionTransformer(width, depth, tokens - 1)
    network.load_state_dict(published)
    return network.eval().requires_grad_(False)
