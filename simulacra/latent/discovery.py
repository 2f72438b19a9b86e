"""Discovery of directions without labels: candidates from the weights, sorted by effect and described in words."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from simulacra.console import Begin, silent
from simulacra.errors import SimulacraError
from simulacra.generator import Generator
from simulacra.latent.attribute_classifier import AttributeClassifier
from simulacra.latent.effects import Effect, measure_effects, noise_floor, similarity
from simulacra.latent.recipe import Direction
from simulacra.latent.unsupervised import Candidate, components, seeds_to_w, sefa
from simulacra.messages import text

COUNT, MAX_COUNT = 12, 1000
MAX_COSINE = 0.9  # from which on two axes, or their effects, count as the same
SAMPLES = 1024  # w whose standard deviation along an axis is strength 1


@torch.no_grad()
def discover(
    generator: Generator,
    *,
    count: int = COUNT,
    seed: int = 0,
    classifier: AttributeClassifier | None = None,
    existing: Sequence[Direction] = (),
    begin: Begin = silent,
) -> list[Direction]:
    """At most `count` directions from the model's weights, those with the largest effect first.

    They come from SeFa and GANSpace, see `latent.unsupervised`. Those whose effect cannot be distinguished from noise are left
    out. Of two that nearly coincide, in w or on pictures, the
    one with the larger effect stays. seed: of the pictures that effects are measured on. classifier: names the
    attributes that change. existing: directions that are not found again.
    """
    if not 1 <= count <= MAX_COUNT:
        raise SimulacraError("latent.direction_count", count=count, most=MAX_COUNT)
    generator.eval()
    axes = [*components(generator, count, first=seed), *sefa(generator, count)]
    w = seeds_to_w(generator, range(seed, seed + SAMPLES))[:, : generator.w_dim]
    candidates = [to_direction(axis, w) for axis in distinct(axes, existing)]
    effects, advance = [], begin(text("latent.progress_effects"), len(candidates))
    for candidate in candidates:
        effects += measure_effects(generator, [candidate], first=seed, classifier=classifier)
        advance(1)
    floor = noise_floor(generator, first=seed)
    visible = [(c, effect) for c, effect in zip(candidates, effects, strict=True) if effect.amount >= floor]
    if not visible:  # a model at the start of its training: all of its pictures are nearly alike
        visible = list(zip(candidates, effects, strict=True))
    best = _select(visible, count, measure_effects(generator, existing, first=seed))
    names: list[str] = [direction.name for direction in existing]
    directions = []
    for direction, effect in best:
        name = free_name(_short_name(effect), names)
        names.append(name)
        vector = direction.vector * effect.sign  # so that what it changes most grows
        directions.append(replace(direction, vector=vector, name=name, about=_description(effect)))
    return directions


def to_direction(candidate: Candidate, w: Tensor, name: str = "") -> Direction:
    """A direction whose strength 1 is one standard deviation of w [N, w_dim] along the axis."""
    length = (w.float() @ candidate.axis).std()
    return Direction(name=name, vector=candidate.axis * length, kind=candidate.kind, layers=candidate.layers)


def distinct(axes: Iterable[Candidate], existing: Sequence[Direction] = ()) -> list[Candidate]:
    """Axes that are not nearly parallel to an earlier one of the same layers."""
    previous = [(F.normalize(direction.vector, dim=0), direction.layers) for direction in existing]
    remaining = []
    for candidate in axes:
        if all(
            layers != candidate.layers or abs(float(axis @ candidate.axis)) < MAX_COSINE for axis, layers in previous
        ):
            remaining.append(candidate)
            previous.append((candidate.axis, candidate.layers))
    return remaining


def free_name(name: str, names: Iterable[str]) -> str:
    """`name`, with a number if it is one of `names`."""
    used = set(names)
    numbered = (f"{name} {i}" for i in itertools.count(2))
    return next(candidate for candidate in itertools.chain([name], numbered) if candidate not in used)


def _select(
    candidates: Sequence[tuple[Direction, Effect]], count: int, existing: Sequence[Effect]
) -> list[tuple[Direction, Effect]]:
    """`count` directions by effect, taken from each kind in turn, without those whose effect another has."""
    directions, effects = [direction for direction, _ in candidates], [effect for _, effect in candidates]
    order = sorted(range(len(directions)), key=lambda i: -effects[i].amount)
    kinds = [[i for i in order if directions[i].kind == kind] for kind in dict.fromkeys(d.kind for d in directions)]
    selected: list[int] = []
    for i in (i for turn in itertools.zip_longest(*kinds) for i in turn if i is not None):
        others = (*existing, *(effects[j] for j in selected))
        if len(selected) < count and all(similarity(effects[i], other) < MAX_COSINE for other in others):
            selected.append(i)
    return [(directions[i], effects[i]) for i in sorted(selected, key=lambda i: -effects[i].amount)]


def _description(effect: Effect) -> str:
    """Words for what grows along the direction, once its sign is turned."""
    sign = effect.sign
    flips, shifts = ({name: sign * value for name, value in part.items()} for part in (effect.flips, effect.shifts))
    return replace(effect, flips=flips, shifts=shifts).words()


def _short_name(effect: Effect) -> str:
    """The first of its words, as a name until the user gives a better one."""
    first = _description(effect).split(";")[0].split(",")[0]
    return first.rsplit(" ", 1)[0] if first.endswith("%") else first
