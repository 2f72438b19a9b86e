"""ADA's transforms, with the distributions of its appendix B: each applied to each picture with probability p.

All that moves pixels is one matrix a picture and one look-up, all that changes colours one matrix, all bands one
filter. A picture for which no transform was drawn stays as it is, to the bit. `on` [k, N] says for whom each of k
transforms was drawn; nothing branches on p, so that nothing is read back from the device.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from simulacra.augment.base import each, hole, look_up, normal, offsets, uniform

WHOLE = 0.125  # of a side: the largest translation by whole pixels
SCALE = 0.2  # deviation of the scales, in octaves
SHIFT = 0.125  # deviation of the translations, in sides
BRIGHTNESS, CONTRAST, SATURATION = 0.2, 0.5, 1.0  # deviations: of a shift, of factors in octaves
EXPECTED = (10 / 13, 1 / 13, 1 / 13, 1 / 13)  # the share of a natural picture's power in each band
BAND = 1.0  # deviation of a band's gain, in octaves
NOISE = 0.1  # deviation of the noise's own deviation


def drawn(x: Tensor, p: Tensor, count: int) -> Tensor:
    """For which pictures each of `count` transforms is drawn, [count, N]."""
    return uniform(x, count, low=0, high=1) < p


# --- moving -------------------------------------------------------------------------------------------------------


def move(x: Tensor, p: Tensor, *, blit: bool, geometric: bool) -> Tensor:
    """Pixel blitting, general geometry, or both; what comes in from outside is the picture's reflection.

    A matrix takes positions in the result to positions in the picture, in pixels from its centre.
    """
    parts = [part(x, p) for part, wanted in ((blitting, blit), (geometry, geometric)) if wanted]
    if not parts:
        return x
    (matrix, moved), *rest = parts
    for further, also in rest:
        matrix, moved = matrix @ further, moved | also
    right, down = offsets(x)
    rows = matrix[:, :2, :, None, None].unbind(1)  # [N, 3, 1, 1] each
    across, along = (row[:, 0] * right + (row[:, 1] * down + row[:, 2]) for row in rows)
    return torch.where(each(moved), look_up(x, across, along, reflect=True), x)


def blitting(x: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    """Mirrored, turned by quarters, moved by whole pixels: matrices [N, 3, 3], and for whom."""
    on = drawn(x, p, 3)
    chance = uniform(x, 4, low=0, high=1)
    mirrored = 1 - 2 * (on[0] & (chance[0] < 0.5)).to(x.dtype)
    angle = on[1] * (4 * chance[1]).floor() * (math.pi / 2)
    right, down = ((on[2] * (2 * chance[i] - 1) * WHOLE * x.shape[side]).round() for i, side in ((2, 3), (3, 2)))
    turned = rotation(angle).round()
    return scaling(mirrored, torch.ones_like(mirrored)) @ turned @ shift(right, down), on.any(0)


def geometry(x: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    """Scaled, turned by any angle, stretched, turned again, moved: matrices [N, 3, 3], and for whom.

    Each rotation has probability 1 - √(1 - p), so that one of the two happens with probability p.
    """
    on = torch.cat([drawn(x, p, 3), drawn(x, 1 - (1 - p).sqrt(), 2)])
    numbers = normal(x, 4)
    size, stretch = (torch.exp2(SCALE * on[i] * numbers[i]) for i in (0, 1))
    first, second = on[3:] * uniform(x, 2, low=-math.pi, high=math.pi)
    right, down = (SHIFT * side * on[2] * numbers[i] for i, side in ((2, x.shape[3]), (3, x.shape[2])))
    stretched = rotation(first) @ scaling(size * stretch, size / stretch) @ rotation(second)
    return stretched @ shift(right, down), on.any(0)


def rotation(angle: Tensor) -> Tensor:
    """Matrices [N, 3, 3] of rotations by angles [N]."""
    cos, sin, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    return torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], 1).view(-1, 3, 3)


def scaling(right: Tensor, down: Tensor) -> Tensor:
    """Matrices [N, 3, 3] of scales [N] along each axis."""
    return torch.diag_embed(torch.stack([right, down, torch.ones_like(right)], 1))


def shift(right: Tensor, down: Tensor) -> Tensor:
    """Matrices [N, 3, 3] of translations [N] along each axis."""
    zero, one = torch.zeros_like(right), torch.ones_like(right)
    return torch.stack([one, zero, right, zero, one, down, zero, zero, one], 1).view(-1, 3, 3)


# --- colour -------------------------------------------------------------------------------------------------------


def colour(x: Tensor, p: Tensor) -> Tensor:
    """Brightness, contrast, luma flip, hue rotation, saturation; alpha stays, and grey has only the first three.

    The last four scale and turn colours around the grey axis, so their product is made of three fixed matrices.
    """
    if x.shape[1] == 4:
        return torch.cat([colour(x[:, :3], p), x[:, 3:]], 1)
    on = drawn(x, p, 5)
    on[3:] &= x.shape[1] == 3
    light, strength, strong = normal(x, 3)
    chance, hue = uniform(x, 2, low=0, high=1)
    flipped = 1 - 2 * (on[2] & (chance < 0.5)).to(x.dtype)
    contrast = torch.exp2(CONTRAST * on[1] * strength)
    saturation = torch.exp2(SATURATION * on[4] * strong)
    angle = 2 * math.pi * on[3] * hue
    parts = torch.stack([flipped, saturation * angle.cos(), saturation * angle.sin()], 1) * contrast[:, None]
    matrix = (parts @ axes(x)).view(-1, x.shape[1], x.shape[1])
    offset = (BRIGHTNESS * on[0] * light * contrast * flipped)[:, None, None]
    changed = torch.baddbmm(offset, matrix, x.flatten(2)).view_as(x)
    return torch.where(each(on.any(0)), changed, x)


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


def bands(x: Tensor, p: Tensor) -> Tensor:
    """Four bands of frequency, [0, π/8, π/4, π/2, π], louder or softer; the power of a natural picture stays.

    Done in the cosine transform, which is the filter on a picture continued by its reflection; a band fades into the
    next within an octave, so that nothing rings.
    """
    on = drawn(x, p, len(EXPECTED))
    gain = torch.exp2(BAND * on * normal(x, len(EXPECTED)))  # [4, N]
    power = 1 + x.new_tensor(EXPECTED)[:, None] * (gain.square() - 1)
    gain = (gain / power.prod(0).sqrt()).T
    (across, wide), (along, high) = (cosines(x, side) for side in (3, 2))
    waves = along @ x @ across.T  # [N, C, H, W] by frequency
    waves = waves * (gain @ high)[:, None, :, None] * (gain @ wide)[:, None, None]
    return torch.where(each(on.any(0)), along.T @ waves @ across, x)


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


def corrupt(x: Tensor, p: Tensor) -> Tensor:
    """Noise of a random strength, and a rectangle of half the sides that becomes 0."""
    on = drawn(x, p, 2)
    noisy = x + each(NOISE * normal(x, 1)[0].abs()) * torch.randn_like(x)
    x = torch.where(each(on[0]), noisy, x)
    return x.masked_fill(each(on[1]) & hole(x, uniform(x, 2, low=-0.5, high=0.5)), 0)
