"""The metric `path`: how smooth a generator is, by the length of short steps between two latents in feature space.

Perceptual path length (Karras et al. 2019, "A Style-Based Generator Architecture", section 4.1, equation 2) with our
extractor in place of LPIPS: comparable between models under one extractor and layer, not with published numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simulacra.console import Advance, silent
from simulacra.errors import SimulacraError
from simulacra.generator import Generator
from simulacra.measure.distances import spread
from simulacra.measure.intervals import resampled_mean
from simulacra.measure.metrics import Metric
from simulacra.measure.model_under_test import reals_of
from simulacra.measure.scores import Score
from simulacra.messages import Message, text

if TYPE_CHECKING:
    from simulacra.measure.context import DrawContext, Outcome

EPSILON = 1e-3
PAIRS = 500  # of latents, for the metric
REALS = 1000  # for its unit, at most: those that `grain` compares with


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
    advance: Advance = lambda n: None,
) -> NDArray[np.float64]:
    """‖φ(G(z at t)) - φ(G(z at t + ε))‖² / ε² for each of `pairs` pairs of latents [pairs].

    features: φ, pictures [N, C, H, W] -> [N, D]; it must not round pictures to 8 bits (`rounded=False` in an
        `Extractor`): a short step changes less than one grey level.
    epsilon: the step. On the bundled model 1e-2 gives a tenth less than shorter steps, 1e-3 agrees with 1e-4 to 1 %,
        and below that the rounding of float32 begins to show.

    Latents are those of seeds `seed`, `seed + 1`, …, two per pair; t is uniform. Normal latents go along the sphere,
    uniform ones straight; both ends have the label of the first, where the generator is conditional. `trimmed` makes a
    mean that does not depend on a few jumps. The unit is the extractor's: divide by `distances.spread` of the reals.
    """
    if pairs < 1 or not 0 < epsilon < 1:
        raise SimulacraError("measure.path_arguments", pairs=pairs, epsilon=epsilon)
    generator.eval()
    between = slerp if generator.prior == "normal" else _lerp
    moments = np.random.default_rng([seed, 4]).random(pairs) * (1 - epsilon)
    lengths = []
    for start in range(0, pairs, batch):
        rows = range(start, min(start + batch, pairs))
        z = generator.seeded([seed + 2 * index + side for side in (0, 1) for index in rows]).double()
        a, b = z.chunk(2)
        t = torch.from_numpy(moments[rows.start : rows.stop]).to(z)
        ends = torch.cat([between(a, b, t), between(a, b, t + epsilon)]).float()
        y = generator.conditions([seed + 2 * index for index in rows])
        first, second = features(generator(ends, y if y is None else y.repeat(2, 1))).double().chunk(2)
        lengths.append((first - second).square().sum(1).cpu().numpy() / epsilon**2)
        advance(len(rows))
    joined: NDArray[np.float64] = np.concatenate(lengths)
    return joined


def trimmed(values: NDArray[np.float64], share: float = 0.01) -> NDArray[np.float64]:
    """`values` [N] sorted, without the lowest and highest `share` (rounded down), as Karras et al. take their mean."""
    cut = int(share * len(values))
    return np.sort(values)[cut : len(values) - cut]


def _lerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    return torch.lerp(a, b, t[:, None])


def path(context: DrawContext) -> Outcome:
    """The mean path length, in units of the reals' own spread. Raises `SimulacraError` where they have none.

    Of untreated pictures: a treatment's noise is larger than the steps.
    """
    extractor, pairs = context.extractor.untreated, min(PAIRS, len(context.seeds))
    layer = extractor.kid_layer

    def features(pictures: Tensor) -> Tensor:
        return extractor(pictures, rounded=False)[layer]

    advance = context.begin(text("measure.progress_path"), pairs)
    lengths = path_lengths(context.generator, features, pairs=pairs, seed=context.seeds[0], advance=advance)
    real = context.reals[layer]
    if context.extractor.treated:
        real = reals_of(context.data.split(context.on), extractor, REALS, silent("", 0))[layer]
    unit = spread(real)
    if not unit:
        raise SimulacraError("measure.path_without_unit")
    interval = resampled_mean(trimmed(lengths) / unit).interval()
    score = Score(**vars(interval), n=pairs, n_real=len(real), better="lower", what=Message("measure.what_path"))
    return {f"path-{extractor.name}-{layer}": score}, {}


METRICS = (Metric(name="path", better="lower", what="measure.what_path", tasks=("draw",), compute=path),)
