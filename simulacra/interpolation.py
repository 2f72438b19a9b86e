"""Interpolation between latents, so that every step is as likely as its ends.

z of a normal prior moves along a great circle, with its length interpolated (White, "Sampling Generative Networks",
2016, arXiv:1609.04468). On the straight line between two of them the length would fall to 1/√2, where the model was
hardly trained. z of a uniform prior is made normal by Φ⁻¹ first and mapped back by Φ, so every step stays uniform.
"""

from __future__ import annotations

import torch
from torch import Tensor

TINY = 1e-7  # lengths and sines below count as 0
EDGE = 1e-6  # distance kept from the bounds of a uniform prior, where Φ⁻¹ is infinite


def lerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """a, b [..., d], t [...] in [0, 1] -> points on the straight line [..., d]."""
    t = t[..., None].to(a.dtype)
    return a * (1 - t) + b * t


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """a, b [N, d], t [N] -> points on the great circle [N, d], with lengths interpolated.

    Opposite vectors turn about an axis that both are least aligned with. From or to zero the line is straight.
    """
    # on the CPU: not every device has float64, and latents are small
    x, y, share = a.cpu().double(), b.cpu().double(), t.cpu().double()[:, None]
    lengths = x.norm(dim=1, keepdim=True), y.norm(dim=1, keepdim=True)
    start, end = x / lengths[0].clamp(min=TINY), y / lengths[1].clamp(min=TINY)
    cosine = (start * end).sum(1, keepdim=True)
    across = end - cosine * start
    sine = across.norm(dim=1, keepdim=True)
    aside = torch.zeros_like(start).scatter_(1, start.abs().argmin(1, keepdim=True), 1.0)
    aside = aside - (start * aside).sum(1, keepdim=True) * start
    across = torch.where(sine < TINY, aside, across)
    across = across / across.norm(dim=1, keepdim=True).clamp(min=TINY)
    angle = share * torch.atan2(sine, cosine)  # more accurate near 0 and π than from the cosine alone
    unit = torch.cos(angle) * start + torch.sin(angle) * across
    arc = unit * (lengths[0] * (1 - share) + lengths[1] * share)
    straight = x * (1 - share) + y * share
    return torch.where((lengths[0] < TINY) | (lengths[1] < TINY), straight, arc).to(a)


def interpolate_z(a: Tensor, b: Tensor, t: Tensor, *, prior: str) -> Tensor:
    """z [N, z] of a normal or uniform prior, t [N] -> [N, z], each as likely as its ends."""
    if prior != "uniform":
        return slerp(a, b, t)
    normal = [torch.special.ndtri((x.cpu().double() / 2 + 0.5).clamp(EDGE, 1 - EDGE)) for x in (a, b)]
    arc: Tensor = torch.special.ndtr(slerp(normal[0], normal[1], t)) * 2 - 1
    return arc.to(a)
