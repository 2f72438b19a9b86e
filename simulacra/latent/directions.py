"""Directions of a generator that are worth a slider: found without labels, ordered by what they do, told in words."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from simulacra.errors import SimulacraError
from simulacra.generator import Generator
from simulacra.latent.attribute_classifier import Reader
from simulacra.latent.effects import Effect, alike, effects
from simulacra.latent.recipe import Direction
from simulacra.latent.unsupervised import Candidate, components, embedded, sefa

COUNT = 12
NEAR = 0.9  # cosine from which on two axes, or what they change, count as the same
SPREAD = 1024  # w whose deviation along an axis is strength 1

Advance = Callable[[int], object]


@torch.no_grad()
def discover(
    generator: Generator,
    *,
    count: int = COUNT,
    seed: int = 0,
    reader: Reader | None = None,
    known: Sequence[Direction] = (),
    begin: Callable[[str, int], Advance] = lambda what, total: lambda n: None,
) -> list[Direction]:
    """At most `count` directions that the model's weights tell, those that change pictures most first.

    In closed form (SeFa) and as principal components (GANSpace), see `latent.unsupervised`; of two that are nearly the
    same, in w or on pictures, the one that changes more stays. seed: decides the pictures that effects are measured
    on. reader: tells which attributes change. known: directions that are not to be found again.
    """
    if not 1 <= count <= 1000:
        raise SimulacraError(f"{count} directions cannot be found: ask for 1 to 1000.")
    generator.eval()
    axes = [*components(generator, count, first=seed), *sefa(generator, count)]
    spread = embedded(generator, range(seed, seed + SPREAD))[:, : generator.w_dim]
    candidates = [scaled(axis, spread) for axis in distinct(axes, known)]
    measured, advance = [], begin("Measuring", len(candidates))
    for candidate in candidates:
        measured += effects(generator, [candidate], first=seed, reader=reader)
        advance(1)
    chosen = _in_turn(candidates, measured, count, effects(generator, known, first=seed))
    before: list[str] = [direction.name for direction in known]
    found = []
    for direction, effect in chosen:
        name = free(_short(effect), before)
        before.append(name)
        found.append(replace(_turned(direction, effect), name=name, about=_told(effect)))
    return found


def scaled(candidate: Candidate, w: Tensor, name: str = "") -> Direction:
    """A direction whose strength 1 is one deviation of w [N, w_dim] along the axis."""
    length = (w.float() @ candidate.axis).std()
    return Direction(name=name, vector=candidate.axis * length, kind=candidate.kind, layers=candidate.layers)


def distinct(axes: Iterable[Candidate], known: Sequence[Direction] = ()) -> list[Candidate]:
    """Without those that are nearly, or nearly opposite to, an earlier one that acts in the same layers."""
    taken = [(F.normalize(direction.vector, dim=0), direction.layers) for direction in known]
    kept = []
    for candidate in axes:
        if all(layers != candidate.layers or abs(float(axis @ candidate.axis)) < NEAR for axis, layers in taken):
            kept.append(candidate)
            taken.append((candidate.axis, candidate.layers))
    return kept


def free(name: str, taken: Iterable[str]) -> str:
    """`name`, or with a number where it is taken."""
    used = set(taken)
    numbered = (f"{name} {i}" for i in itertools.count(2))
    return next(each for each in itertools.chain([name], numbered) if each not in used)


def _in_turn(
    directions: Sequence[Direction], measured: Sequence[Effect], count: int, known: Sequence[Effect]
) -> list[tuple[Direction, Effect]]:
    """`count` of them, taken from each kind in turn by effect, without those that do what one of them or `known` does;
    then all by effect.
    """
    order = sorted(range(len(directions)), key=lambda i: -measured[i].amount)
    kinds = [[i for i in order if directions[i].kind == kind] for kind in dict.fromkeys(d.kind for d in directions)]
    chosen: list[int] = []
    for i in (i for each in itertools.zip_longest(*kinds) for i in each if i is not None):
        there = (*known, *(measured[j] for j in chosen))
        if len(chosen) < count and all(alike(measured[i], other) < NEAR for other in there):
            chosen.append(i)
    return [(directions[i], measured[i]) for i in sorted(chosen, key=lambda i: -measured[i].amount)]


def _turned(direction: Direction, effect: Effect) -> Direction:
    """The way round in which what it changes most grows."""
    return replace(direction, vector=direction.vector * effect.sign)


def _told(effect: Effect) -> str:
    way = effect.sign
    flips, shifts = ({name: way * value for name, value in each.items()} for each in (effect.flips, effect.shifts))
    return replace(effect, flips=flips, shifts=shifts).words()


def _short(effect: Effect) -> str:
    """The first of its words: a name until somebody gives it a better one."""
    first = _told(effect).split(";")[0].split(",")[0]
    return first.rsplit(" ", 1)[0] if first.endswith("%") else first
