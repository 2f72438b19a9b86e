"""ADA's transforms, with the distributions of its appendix B: each applied to each picture with probability p.

All that moves pixels is one matrix a picture and one look-up, all that changes colours one matrix, all bands one
filter. Nothing branches on p, so that nothing is read back from the device.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from simulacra.augment.base import hole, look_up, normal, per_picture, sides, uniform

Changed = tuple[Tensor, Tensor]  # pictures, and [k, N]: 1 where each of k transforms applies, else 0
Positions = tuple[Tensor, Tensor, Tensor]  # matrices [N, 2, 2], shifts [N, 2] in pixels, and the same

WHOLE = 0.125  # of a side: the largest translation by whole pixels
SCALE = 0.2  # deviation of the scales, in octaves
SHIFT = 0.125  # deviation of the translations, in sides
BRIGHTNESS, CONTRAST, SATURATION = 0.2, 0.5, 1.0  # deviations: of a shift, of factors in octaves
EXPECTED = (10 / 13, 1 / 13, 1 / 13, 1 / 13)  # the share of a natural picture's power in each band
BAND = 1.0  # deviation of a band's gain, in octaves
NOISE = 0.1  # deviation of the noise's own deviation


def chosen(x: Tensor, p: Tensor, count: int) -> Tensor:
    """1 with probability p, else 0, for `count` transforms of each picture: [count, N]."""
    return (uniform(x, count) < p).to(x.dtype)


# --- moving -------------------------------------------------------------------------------------------------------


def move(x: Tensor, p: Tensor, *, blit: bool = True, geometric: bool = True) -> Changed:
    """Pixel blitting, general geometry, or both; the outside is the picture's reflection.

    Positions in the result become positions in the picture: geometry first, as the picture is blitted first.
    """
    if not (blit and geometric):
        matrix, shift, on = blitting(x, p) if blit else geometry(x, p)
    else:
        (outer, before, on_blit), (inner, after, on_geometric) = blitting(x, p), geometry(x, p)
        matrix, shift, on = (
            outer @ inner,
            before + (outer @ after[:, :, None])[:, :, 0],
            torch.cat([on_blit, on_geometric]),
        )
    return look_up(x, matrix, shift, reflect=True), on


def blitting(x: Tensor, p: Tensor) -> Positions:
    """Mirrored, turned by quarters, moved by whole pixels."""
    on, chance = chosen(x, p, 3), uniform(x, 4)
    mirrored = 1 - 2 * on[0] * (chance[0] < 0.5)
    turned = rotation(on[1] * (4 * chance[1]).floor() * (math.pi / 2)).round()
    matrix = turned * torch.stack([mirrored, torch.ones_like(mirrored)], 1)[:, :, None]
    return matrix, (on[2] * (2 * chance[2:] - 1) * WHOLE * sides(x)).round().T, on


def geometry(x: Tensor, p: Tensor) -> Positions:
    """Scaled, turned by any angle, stretched, turned again, moved.

    Each rotation has probability 1 - √(1 - p), so that one of the two happens with probability p.
    """
    on = torch.cat([chosen(x, p, 3), chosen(x, 1 - (1 - p).sqrt(), 2)])
    numbers = normal(x, 4)
    size, stretch = SCALE * on[:2] * numbers[:2]
    first, second = rotation(on[3:] * (2 * math.pi * uniform(x, 2)))
    matrix = (first * torch.exp2(torch.stack([size + stretch, size - stretch], 1))[:, None]) @ second
    return matrix, (on[2] * numbers[2:] * SHIFT * sides(x)).T, on


def rotation(angle: Tensor) -> Tensor:
    """Matrices [..., 2, 2] of rotations by angles [...]."""
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([cos, -sin, sin, cos], -1).view(*angle.shape, 2, 2)


# --- colour -------------------------------------------------------------------------------------------------------


def colour(x: Tensor, p: Tensor) -> Changed:
    """Brightness, contrast, luma flip, hue rotation, saturation; alpha stays, and grey has only the first three.

    The last four scale and turn colours around the grey axis, so their product is made of three fixed matrices.
    """
    if x.shape[1] == 4:
        changed, on = colour(x[:, :3], p)
        return torch.cat([changed, x[:, 3:]], 1), on
    on = chosen(x, p, 5 if x.shape[1] == 3 else 3)
    numbers, (chance, hue) = normal(x, 3), uniform(x, 2)
    factor = torch.exp2(CONTRAST * on[1] * numbers[1])
    grey = (1 - 2 * on[2] * (chance < 0.5)) * factor
    parts = torch.stack([grey, factor, torch.zeros_like(grey)], 1)
    if len(on) == 5:
        factor = factor * torch.exp2(SATURATION * on[3] * numbers[2])
        angle = 2 * math.pi * on[4] * hue
        parts = torch.stack([grey, factor * angle.cos(), factor * angle.sin()], 1)
    matrix = (parts @ axes(x)).view(-1, x.shape[1], x.shape[1])
    offset = (BRIGHTNESS * on[0] * numbers[0] * grey)[:, None, None]
    return torch.baddbmm(offset, matrix, x.flatten(2)).view_as(x), on


def axes(x: Tensor) -> Tensor:
    """Onto the grey axis v, onto the plane across it, and a quarter turn in that plane: [3, C·C]."""
    channels = x.shape[1]
    grey = torch.full((channels, channels), 1 / channels, device=x.device, dtype=x.dtype)
    across = torch.eye(channels, device=x.device, dtype=x.dtype) - grey
    turn = torch.zeros_like(grey)
    if channels == 3:
        turn = across.roll(1, 0) - across.roll(-1, 0)  # v x ·, as all three numbers of v are 1/√3
        turn = turn / math.sqrt(3)
    return torch.stack([grey, across, turn]).flatten(1)


# --- filtering and corruption -------------------------------------------------------------------------------------


def bands(x: Tensor, p: Tensor) -> Changed:
    """Four bands of frequency, [0, π/8, π/4, π/2, π], louder or softer; the power of a natural picture stays.

    Done in the cosine transform, which is the filter on a picture continued by its reflection; a band fades into the
    next within an octave, so that nothing rings.
    """
    on = chosen(x, p, len(EXPECTED))
    gain = torch.exp2(BAND * on * normal(x, len(EXPECTED)))  # [4, N]
    shares = torch.cat([x.new_full((1, 1), share) for share in EXPECTED])
    power = 1 + shares * (gain.square() - 1)
    gain = (gain / power.prod(0).sqrt()).T
    (across, wide), (along, high) = (cosines(x, side) for side in (3, 2))
    waves = along @ x @ across.T  # [N, C, H, W] by frequency
    waves = waves * (gain @ high)[:, None, :, None] * (gain @ wide)[:, None, None]
    return along.T @ waves @ across, on


def cosines(x: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """The orthonormal cosine transform of one side of x [frequency, position], and each band's share [4, frequency]."""
    n = x.shape[side]
    places = torch.arange(n, device=x.device, dtype=x.dtype)
    waves = torch.cos(math.pi / n * places[:, None] * (places + 0.5)) * math.sqrt(2 / n)
    waves = torch.where(places[:, None] == 0, math.sqrt(1 / n), waves)
    octave = torch.log2(places.clamp(min=1e-3) * 8 / n)  # 0 at π/8
    edges = torch.arange(len(EXPECTED) - 1, device=x.device, dtype=x.dtype)[:, None]
    beyond = (octave - edges + 0.5).clamp(0, 1)  # how far above each edge
    return waves, torch.cat([1 - beyond[:1], beyond[:-1] - beyond[1:], beyond[-1:]])


def corrupt(x: Tensor, p: Tensor) -> Changed:
    """Noise of a random strength, and a rectangle of half the sides that becomes 0."""
    on = chosen(x, p, 2)
    noisy = x + per_picture(NOISE * on[0] * normal(x, 1)[0]) * torch.randn(x.shape, device=x.device, dtype=x.dtype)
    return noisy.masked_fill(per_picture(on[1] > 0) & hole(x, uniform(x, 2) - 0.5), 0), on
