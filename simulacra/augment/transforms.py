"""ADA's transforms, with the distributions of its appendix B; each applies to each picture with probability p.

Each picture needs one matrix and one resampling for geometry, one matrix for colours and one filter for frequencies.
Nothing branches on p, so nothing is read back from the device.

The paper resamples pictures at twice their side, with a wavelet's filter; here interpolation is bilinear at the side itself,
which softens: a turn by a random angle leaves 0.46 of the power of white noise, and on drawings of 32 px 0.53 of the squared
differences between neighbouring pixels. A windowed sinc at twice the side left 0.72 there, for 29 times the time of the
resampling on a CPU (129 ms in place of 4.4 for 64 pictures, with the gradient); bicubic interpolation left 0.81 for 3.5 times.
Reals and fakes are softened alike, so that G is still drawn to sharp pictures; blitting moves whole pixels and softens nothing.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from simulacra.augment.base import affine_sample, cutout_mask, normal, per_picture, sides, uniform

ImagesAndMask = tuple[Tensor, Tensor]  # pictures, and a mask [k, N]: 1 where each of k transforms applies, else 0
AffineAndMask = tuple[Tensor, Tensor, Tensor]  # matrices [N, 2, 2], shifts [N, 2] in pixels, and a mask [k, N]

WHOLE = 0.125  # largest translation by whole pixels, relative to the side
SCALE = 0.2  # standard deviation of scales, in octaves
SHIFT = 0.125  # standard deviation of translations, relative to the side
BRIGHTNESS, CONTRAST, SATURATION = 0.2, 0.5, 1.0  # standard deviations: of a shift, and of factors in octaves
EXPECTED = (10 / 13, 1 / 13, 1 / 13, 1 / 13)  # share of a natural picture's power in each band
BAND = 1.0  # standard deviation of a band's gain, in octaves
NOISE = 0.1  # standard deviation of the noise's strength


def bernoulli(x: Tensor, p: Tensor, count: int) -> Tensor:
    """1 with probability p, else 0, for `count` transforms per picture: [count, N]."""
    return (uniform(x, count) < p).to(x.dtype)


# --- geometry -----------------------------------------------------------------------------------------------------


def move(x: Tensor, p: Tensor, *, blit: bool = True, geometric: bool = True) -> ImagesAndMask:
    """Pixel blitting, general geometry, or both; outside the picture is its reflection.

    The picture is blitted first, so output positions are mapped by the geometry first.
    """
    if not (blit and geometric):
        matrix, shift, on = blitting(x, p) if blit else geometry(x, p)
    else:
        (outer, outer_shift, on_blit), (inner, inner_shift, on_geometric) = blitting(x, p), geometry(x, p)
        matrix, on = outer @ inner, torch.cat([on_blit, on_geometric])
        shift = outer_shift + (outer @ inner_shift[:, :, None])[:, :, 0]
    return affine_sample(x, matrix, shift, reflect=True), on


def blitting(x: Tensor, p: Tensor) -> AffineAndMask:
    """Flip, rotate by quarter turns, shift by whole pixels."""
    on, chance = bernoulli(x, p, 3), uniform(x, 4)
    flip = 1 - 2 * on[0] * (chance[0] < 0.5)
    turn = rotation(on[1] * (4 * chance[1]).floor() * (math.pi / 2)).round()
    matrix = turn * torch.stack([flip, torch.ones_like(flip)], 1)[:, :, None]
    return matrix, (on[2] * (2 * chance[2:] - 1) * WHOLE * sides(x)).round().T, on


def geometry(x: Tensor, p: Tensor) -> AffineAndMask:
    """Scale, rotate by any angle, stretch, rotate again, shift.

    Each rotation has probability 1 - √(1 - p), so that at least one occurs with probability p.
    """
    on = torch.cat([bernoulli(x, p, 3), bernoulli(x, 1 - (1 - p).sqrt(), 2)])
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


def colour(x: Tensor, p: Tensor) -> ImagesAndMask:
    """Brightness, contrast, luma flip, hue rotation, saturation; alpha is unchanged, and grey has only the first three.

    The last four scale and rotate colours around the grey axis: their product is a sum of three fixed matrices.
    """
    if x.shape[1] == 4:
        rgb, on = colour(x[:, :3], p)
        return torch.cat([rgb, x[:, 3:]], 1), on
    on = bernoulli(x, p, 5 if x.shape[1] == 3 else 3)
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
    """Projections onto the grey axis v and onto its orthogonal plane, and a quarter turn in that plane: [3, C·C]."""
    channels = x.shape[1]
    grey = torch.full((channels, channels), 1 / channels, device=x.device, dtype=x.dtype)
    across = torch.eye(channels, device=x.device, dtype=x.dtype) - grey
    turn = torch.zeros_like(grey)
    if channels == 3:
        turn = across.roll(1, 0) - across.roll(-1, 0)  # the cross product with v, all of whose components are 1/√3
        turn = turn / math.sqrt(3)
    return torch.stack([grey, across, turn]).flatten(1)


# --- filtering and corruption -------------------------------------------------------------------------------------


def bands(x: Tensor, p: Tensor) -> ImagesAndMask:
    """Scale four frequency bands between 0, π/8, π/4, π/2 and π at random, keeping a natural picture's power.

    A cosine transform filters the picture continued by its reflection. Neighbouring bands overlap by an octave, against
    ringing.
    """
    on = bernoulli(x, p, len(EXPECTED))
    gain = torch.exp2(BAND * on * normal(x, len(EXPECTED)))  # [4, N]
    shares = torch.cat([x.new_full((1, 1), share) for share in EXPECTED])
    power = 1 + shares * (gain.square() - 1)
    gain = (gain / power.prod(0).sqrt()).T
    (across, wide), (along, high) = (cosines(x, side) for side in (3, 2))
    waves = along @ x @ across.T  # [N, C, H, W] by frequency
    waves = waves * (gain @ high)[:, None, :, None] * (gain @ wide)[:, None, None]
    return along.T @ waves @ across, on


def cosines(x: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Orthonormal cosine transform of one side of x [frequency, position], and the bands' weights [4, frequency]."""
    n = x.shape[side]
    index = torch.arange(n, device=x.device, dtype=x.dtype)
    waves = torch.cos(math.pi / n * index[:, None] * (index + 0.5)) * math.sqrt(2 / n)
    waves = torch.where(index[:, None] == 0, math.sqrt(1 / n), waves)
    octave = torch.log2(index.clamp(min=1e-3) * 8 / n)  # 0 at π/8
    edges = torch.arange(len(EXPECTED) - 1, device=x.device, dtype=x.dtype)[:, None]
    beyond = (octave - edges + 0.5).clamp(0, 1)  # 0 below an edge to 1 above it
    return waves, torch.cat([1 - beyond[:1], beyond[:-1] - beyond[1:], beyond[-1:]])


def corrupt(x: Tensor, p: Tensor) -> ImagesAndMask:
    """Add noise of random strength, and set a rectangle with half the sides to 0."""
    on = bernoulli(x, p, 2)
    noisy = x + per_picture(NOISE * on[0] * normal(x, 1)[0]) * torch.randn(x.shape, device=x.device, dtype=x.dtype)
    return noisy.masked_fill(per_picture(on[1] > 0) & cutout_mask(x, uniform(x, 2) - 0.5), 0), on


def cutout(x: Tensor, p: Tensor) -> ImagesAndMask:
    """Set a rectangle with half the sides to 0."""
    on = bernoulli(x, p, 1)
    return x.masked_fill(per_picture(on[0] > 0) & cutout_mask(x, uniform(x, 2) - 0.5), 0), on
