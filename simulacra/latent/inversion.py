"""Latent inversion: the latent whose picture is closest to a given one.

In the manner of Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, arXiv:1912.04958,
appendix D: Adam on one latent, with a rate that rises and falls and noise that fades. Their feature distance is joined
by one of pixels at several scales. Several starts descend as one batch, and the worst are dropped.

Descent alone cannot cross from a face with glasses to one without. So the starts come from an evolution, which crosses
and mutates the latents of the closest guesses.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from simulacra.errors import SimulacraError
from simulacra.generator import Generator
from simulacra.latent import search
from simulacra.latent.latent_prior import latent_prior
from simulacra.latent.perceptual_loss import PerceptualLoss, psnr
from simulacra.latent.recipe import Recipe, to_w
from simulacra.messages import Message

GUESSES = 1024
FIRST_SEED = 2**31  # of the guesses: users' seeds are smaller
STARTS = 4  # latents that descend together
PACE_PICTURES = 8  # that are timed for a forecast
PACE_STEPS = 100  # of the descent whose first two steps are timed: no start is dropped in them
WIDEN = 0.4  # share of the steps after which each layer has a latent of its own
MAX_STARTS, MAX_STEPS = 64, 100_000
MATCH, SIMILAR = 28.0, 20.0  # dB from which on a projection matches its photo, or is similar to it


class Progress(NamedTuple):
    """State of an inversion, for callbacks."""

    step: int  # done so far, from 1; 0 during the evolution of starts
    steps: int
    loss: float  # of the best start, like psnr and picture
    psnr: float  # dB
    picture: Tensor  # [C, H, W], with the step's noise


@dataclass(frozen=True, kw_only=True, eq=False)
class Projection:
    """Result of an inversion."""

    recipe: Recipe  # draws `picture`
    picture: Tensor  # [C, H, W] in [-1, 1]
    target: Tensor  # [C, H, W], the photo at the model's size
    psnr: float  # dB, of both as 8 bits
    feature_distance: float  # of feature maps, 0 for equal pictures
    radius: float  # of the latent, about 1 for the model's own; see `LatentPrior.radius`
    course: tuple[tuple[float, float], ...]  # (loss, psnr) of the best start after each step
    seconds: float
    stopped: bool  # before the last step

    def verdict(self) -> Message:
        """A sentence: what the PSNR means for the eye."""
        if self.psnr >= MATCH:
            return Message("latent.psnr_match", psnr=self.psnr)
        if self.psnr >= SIMILAR:
            return Message("latent.psnr_similar", psnr=self.psnr, match=MATCH)
        return Message("latent.psnr_rough", psnr=self.psnr, match=MATCH)


def invert(
    generator: Generator,
    target: Tensor,
    *,
    steps: int = 500,
    starts: int = STARTS,
    seed: int = 0,
    label: str = "",
    wide: bool = False,
    encoder: Callable[[Tensor], Tensor] | None = None,
    on_step: Callable[[Progress], object] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> Projection:
    """Search for the latent whose picture is `target` [C, H, W]; see `preprocess_photo` for a photo.

    starts: latents that descend together, evolved from the closest of `GUESSES` pictures of the model.
    seed: decides guesses and noise. label: see `Generator.labelled`; if empty, a class comes from the guesses and
    attributes from descent. wide: a latent per layer, closer to the target but farther from the model's own.
    encoder: pictures [N, C, H, W] -> latents [N, w], for one more start.
    on_step: called after each generation and each step. stop: asked before each; True returns the best so far.
    Raises `SimulacraError` for a target of another shape, `wide` without layers, and numbers out of range.
    """
    _check(generator, target, steps, starts, wide)
    begun = time.monotonic()
    generator.eval()
    target = target.to(generator.device, torch.float32).clamp(-1, 1)
    distance = PerceptualLoss(target)
    objective = search.Objective(generator, distance, latent_prior(generator))
    source = torch.Generator().manual_seed(seed)
    w, y = _guesses(generator, target, distance, starts, seed, label, encoder)
    course: list[tuple[float, float]] = []

    def on_generation(loss: float, picture: Tensor) -> bool:
        on_step(Progress(0, steps, loss, float(psnr(picture[None], target)), picture))
        return stop()

    u, y = search.evolve(
        objective, w, y, starts, steps=steps, keep_first=encoder is not None, source=source, on_generation=on_generation
    )
    # a mapping network has the label in w already
    descend_y = generator.attributes and not generator.num_ws and not label
    descent = search.Descent(objective, u, y, steps=steps, descend_y=descend_y, source=source)
    stopped = False
    for step in range(steps):
        if stopped := stop():
            break
        if wide and step == round(WIDEN * steps):
            descent.widen(generator.num_ws)
        loss, pictures = descent.step(step)
        best = int(loss.argmin())
        course.append((float(loss[best]), float(psnr(pictures[best : best + 1], target))))
        on_step(Progress(step + 1, steps, *course[-1], pictures[best]))
    with torch.no_grad():
        u, y = descent.best()
        recipe = _recipe(objective, u, y, label)
        picture = generator.synthesis(to_w(generator, recipe, {})).float()
        return Projection(
            recipe=recipe, picture=picture[0], target=target, psnr=float(psnr(picture, target)),
            feature_distance=float(distance.features(picture)), radius=float(objective.prior.radius(u)),
            course=tuple(course), seconds=time.monotonic() - begun, stopped=stopped,
        )  # fmt: skip


def pace(generator: Generator) -> tuple[float, float]:
    """Seconds that a search takes on this machine, from a short measurement: before its first step, and for each step.

    A search of n steps takes about the first and n times the second.
    """
    begun = time.monotonic()
    generator.eval()
    seeds = range(PACE_PICTURES)
    with torch.no_grad():
        w, y = generator.seeded(seeds), generator.conditions(seeds)
        picture = generator.synthesis(generator.mapping(w, y))[0].float()
        w = generator.mapping(w, y) if generator.num_ws else w
    objective = search.Objective(generator, PerceptualLoss(picture), latent_prior(generator))
    u, y = objective.prior.whiten(w), torch.empty(len(w), 0, device=w.device) if y is None else y
    times = [time.monotonic()]
    with torch.no_grad():
        objective.losses(u, y)
    times.append(time.monotonic())
    source = torch.Generator().manual_seed(0)
    descent = search.Descent(objective, u[:STARTS], y[:STARTS], steps=PACE_STEPS, descend_y=False, source=source)
    for step in (0, 1):  # with feature maps, and without
        descent.step(step)
        times.append(time.monotonic())
    drawing, featured, plain = (end - start for start, end in itertools.pairwise(times))
    step_seconds = (featured + (search.EVERY - 1) * plain) / search.EVERY * search.MEAN_STARTS
    picture_seconds = drawing / PACE_PICTURES
    return times[0] - begun + GUESSES * picture_seconds, step_seconds + search.EVOLVED * picture_seconds


def _recipe(objective: search.Objective, u: Tensor, y: Tensor, label: str) -> Recipe:
    generator = objective.generator
    rows = objective.prior.from_whitened(u).reshape(-1, u.shape[-1])
    label = label if generator.num_ws else _format_label(generator, y)
    return Recipe(w=tuple(tuple(row) for row in rows.tolist()), label=label)


@torch.no_grad()
def _guesses(
    generator: Generator,
    target: Tensor,
    distance: PerceptualLoss,
    starts: int,
    seed: int,
    label: str,
    encoder: Callable[[Tensor], Tensor] | None,
) -> tuple[Tensor, Tensor | None]:
    """Latents [N, w] of the model's own pictures closest to the target, best first, and their labels.

    The encoder's guess comes first, with the label of the closest other guess.
    """
    seeds = [FIRST_SEED + (seed * GUESSES + i) % FIRST_SEED for i in range(GUESSES)]
    latent, y = generator.seeded(seeds), generator.conditions(seeds, label)
    if generator.num_ws:
        latent = generator.mapping(latent, y)
    if encoder is not None:
        latent = torch.cat([latent, encoder(target[None])])
        y = y if y is None else torch.cat([y, y[_distances(generator, distance, latent[:-1], y).argmin()][None]])
    distances = _distances(generator, distance, latent, y)
    if encoder is not None:
        distances[-1] = -1
    classes = None if y is None or generator.attributes else y.argmax(1)
    best = _order(distances, classes)[: max(starts, search.ISLANDS * search.POPULATION)]
    return latent[best], y if y is None else y[best]


def _order(distances: Tensor, classes: Tensor | None) -> Tensor:
    """The order of guesses [N] by distance; with classes the best of each first, then the second best of each …"""
    order = distances.argsort()
    if classes is None:
        return order
    counts: dict[int, int] = {}
    rounds = []
    for number in classes[order].tolist():
        rounds.append(counts.get(number, 0))
        counts[number] = rounds[-1] + 1
    return order[torch.tensor(rounds, device=order.device).argsort(stable=True)]


def _distances(generator: Generator, distance: PerceptualLoss, latent: Tensor, y: Tensor | None) -> Tensor:
    """Pixel distances [N] of the pictures of many latents to the target."""
    parts = []
    for start in range(0, len(latent), search.BATCH):
        part = latent[start : start + search.BATCH]
        w = part if generator.num_ws else generator.mapping(part, y if y is None else y[start : start + search.BATCH])
        parts.append(distance.pixels(generator.synthesis(w).float()))
    return torch.cat(parts)


def _format_label(generator: Generator, y: Tensor) -> str:
    """A label [labels] as a text that reads back to the same, to four digits."""
    if not len(y):
        return ""
    if not generator.attributes:
        return generator.name_of(int(y.argmax()))
    return ", ".join(f"{generator.name_of(i)}={value:.4g}" for i, value in enumerate(y.tolist()))


def _check(generator: Generator, target: Tensor, steps: int, starts: int, wide: bool) -> None:
    if tuple(target.shape) != tuple(generator.shape):
        shapes = ("x".join(map(str, shape)) for shape in (target.shape, generator.shape))
        raise SimulacraError("latent.target_shape", **dict(zip(("shape", "wanted"), shapes, strict=True)))
    if not bool(target.isfinite().all()):
        raise SimulacraError("latent.target_not_finite")
    if not 1 <= steps <= MAX_STEPS:
        raise SimulacraError("latent.steps_out_of_range", steps=steps, most=MAX_STEPS)
    if not 1 <= starts <= MAX_STARTS:
        raise SimulacraError("latent.starts_out_of_range", starts=starts, most=MAX_STARTS)
    if wide and not generator.num_ws:
        raise SimulacraError("latent.no_layers_to_widen")
