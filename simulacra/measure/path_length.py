"""How smooth a generator is: the length of short steps between two latents, as a network's features see them.

Perceptual path length (Karras et al. 2019, "A Style-Based Generator Architecture", section 4.1, equation 2) with our
extractor in the place of LPIPS: comparable between models under one extractor and layer, not with published numbers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simulacra.errors import SimulacraError
from simulacra.gan import Generator

EPSILON = 1e-3


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """From latents `a` to `b` [N, z] along the sphere, at `t` [N] in 0..1 (White 2016, "Sampling Generative Networks").

    Halfway between two normal latents the straight line passes nearer to the origin than any latent lies.
    """
    cosine = torch.nn.functional.cosine_similarity(a, b).clamp(-1, 1)
    angle = torch.arccos(cosine)[:, None]
    sine, t = torch.sin(angle), t[:, None]
    straight = (1 - t) * a + t * b
    bent = (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / sine
    return torch.where(sine > 1e-6, bent, straight)


@torch.no_grad()
def path_lengths(
    generator: Generator,
    features: Callable[[Tensor], Tensor],
    *,
    pairs: int = 1000,
    seed: int = 0,
    epsilon: float = EPSILON,
    batch: int = 16,
    advance: Callable[[int], object] = lambda n: None,
) -> NDArray[np.float64]:
    """‖φ(G(z at t)) - φ(G(z at t + ε))‖² / ε² for each of `pairs` pairs of latents [pairs].

    features: φ, pictures [N, C, H, W] -> [N, D]; it must not round pictures to 8 bits (`rounded=False` in an
        `Extractor`): a short step changes less than one grey level.
    epsilon: the step. On the model that comes along 1e-2 gives a tenth less than ever shorter steps do, 1e-3 agrees
        with 1e-4 to 1 %, and below that the rounding of float32 begins to show.

    Latents are those of seeds `seed`, `seed + 1`, …, two a pair; t is uniform. Normal latents go along the sphere,
    uniform ones straight; both ends have the label of the first, where the generator is told labels. For a mean that a few jumps do not decide, see `trimmed`; in units of the extractor,
    so divide by `distances.spread` of the reals.
    """
    if pairs < 1 or not 0 < epsilon < 1:
        raise SimulacraError(f"Path length needs at least 1 pair ({pairs}) and a step between 0 and 1 ({epsilon}).")
    generator.eval()
    between = slerp if generator.prior == "normal" else _straight
    moments = np.random.default_rng([seed, 4]).random(pairs) * (1 - epsilon)
    found = []
    for start in range(0, pairs, batch):
        some = range(start, min(start + batch, pairs))
        z = generator.seeded([seed + 2 * index + side for side in (0, 1) for index in some]).double()
        a, b = z.chunk(2)
        t = torch.from_numpy(moments[some.start : some.stop]).to(z)
        ends = torch.cat([between(a, b, t), between(a, b, t + epsilon)]).float()
        y = generator.labelled([seed + 2 * index for index in some])
        here, there = features(generator(ends, y if y is None else y.repeat(2, 1))).double().chunk(2)
        found.append((here - there).square().sum(1).cpu().numpy() / epsilon**2)
        advance(len(some))
    joined: NDArray[np.float64] = np.concatenate(found)
    return joined


def trimmed(values: NDArray[np.float64], share: float = 0.01) -> NDArray[np.float64]:
    """`values` [N] in order, without the lowest and the highest `share` (rounded down), as Karras et al. take their mean."""
    cut = int(share * len(values))
    return np.sort(values)[cut : len(values) - cut]


def _straight(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    return torch.lerp(a, b, t[:, None])
