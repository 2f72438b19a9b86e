"""Directions learned from labels: a reader labels generated pictures, and a linear model in w says which way is more.

(Denton et al. 2019, arXiv:1906.06439; InterFaceGAN: Shen et al. 2020, arXiv:1907.10786, conditional manipulation.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from simulacra.data.dataset import Dataset
from simulacra.errors import SimulacraError
from simulacra.generator import Generator
from simulacra.latent.attribute_classifier import STEPS, Reader, fit_reader
from simulacra.latent.directions import NEAR
from simulacra.latent.effects import Effect, effects, render
from simulacra.latent.recipe import Direction
from simulacra.latent.traits import Trait, traits
from simulacra.latent.unsupervised import embedded

SAMPLES = 4000  # generated pictures
FIRST = 10_000_000  # their seeds, far from those that people look at
READ, FOUND = 0.8, 0.6  # balanced accuracy that reader and linear model must reach, to be kept
RARE = 0.02  # share of generated pictures that must have it, and must not
GROWS = 0.25  # of the pictures at least, how many more must have it at strength 2 than at -2
DECAY = 1e-3
SAME = 0.5  # cosine from which on two directions are about the same thing, and not made orthogonal
AT_ONCE = 64
LEARNED = ("learned attribute", "learned axis", "learned choice")  # kinds of direction

Advance = Callable[[int], object]


@dataclass(frozen=True, kw_only=True)
class Learned:
    """The directions, and what was left out with the reason."""

    directions: list[Direction]
    left_out: dict[str, str]
    reader: Reader


def learn(
    generator: Generator,
    data: Dataset,
    *,
    reader: Reader | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
    orthogonal: bool = False,
    begin: Callable[[str, int], Advance] = lambda what, total: lambda n: None,
) -> Learned:
    """A direction for each attribute of the data that a reader can see and that w decides.

    Attributes that stand alone come first, then groups whose choices lie on an axis, then choices; each with the balanced
    accuracy of its linear model on generated pictures that it was not fitted to. reader: trained on `data` if not
    given. orthogonal: each is made to leave alone what the single attributes and axes about other things go by.
    Raises `SimulacraError` for data without labels or of another shape, and too few samples.
    """
    if data.shape != generator.shape:
        raise SimulacraError(
            f"The data's pictures are {data.shape} and the model's {generator.shape}: give its own data."
        )
    if samples < 100:
        raise SimulacraError(f"{samples} generated pictures are too few to learn from: take at least 100.")
    if reader is None:
        reader = fit_reader(
            data, seed=seed, steps=STEPS, device=generator.device, advance=begin("Learning to read", STEPS)
        )
    wanted = traits(data, reader)
    w, logits = labelled(generator, reader, samples, advance=begin("Labelling", samples))
    spread = w.std(0).clamp(min=1e-8)
    kept: list[tuple[Trait, Direction]] = []
    left_out = {}
    for trait in wanted:
        reason = _unfit(trait, reader, logits) or ""
        if not reason:
            direction = _fitted(trait, w, trait.score(logits) > 0, spread)
            reason = _doubtful(direction)
            if not reason:
                kept.append((trait, direction))
        if reason:
            left_out[trait.name] = reason
    if orthogonal:
        kept = _orthogonal(kept, w)
    found, misled = _proven(generator, kept, wanted, reader)
    return Learned(directions=found, left_out=left_out | misled, reader=reader)


@torch.no_grad()
def labelled(
    generator: Generator, reader: Reader, samples: int, *, first: int = FIRST, advance: Advance = lambda n: None
) -> tuple[Tensor, Tensor]:
    """w [N, w_dim] of generated pictures and what the reader sees in them [N, A]."""
    generator.eval()
    ws, logits = [], []
    for start in range(first, first + samples, AT_ONCE):
        w = embedded(generator, range(start, min(start + AT_ONCE, first + samples)))
        ws.append(w[:, : generator.w_dim])
        logits.append(reader.logits(render(generator, w)))
        advance(len(w))
    return torch.cat(ws), torch.cat(logits)


def _unfit(trait: Trait, reader: Reader, logits: Tensor) -> str:
    """Why nothing can be learned of a trait, or nothing."""
    accuracy = min(reader.accuracy[column] for column in trait.columns)
    if accuracy != accuracy:
        return "too few held-out pictures have it, or have it not"
    if accuracy < READ:
        return f"the reader is right on only {accuracy:.0%} of held-out pictures"
    share = float((trait.score(logits) > 0).float().mean())
    if not RARE <= share <= 1 - RARE:
        return f"{share:.1%} of generated pictures have it"
    return ""


def _doubtful(direction: Direction) -> str:
    """Why a linear model is not worth keeping, or nothing."""
    assert direction.accuracy is not None
    if direction.accuracy < FOUND:
        return f"w says little of it: the linear model is right on only {direction.accuracy:.0%}"
    return ""


def _twice(direction: Direction, others: Sequence[Direction]) -> str:
    """Which one is there already, or nothing."""
    for other in others:
        if abs(_cosine(direction.vector, other.vector)) >= NEAR:
            return f"the same direction as {other.name}"
    return ""


def _proven(
    generator: Generator, kept: Sequence[tuple[Trait, Direction]], wanted: Sequence[Trait], reader: Reader
) -> tuple[list[Direction], dict[str, str]]:
    """Those that lead where their name says, with words for what else they do; and why the others do not."""
    found: list[Direction] = []
    left_out = {}
    shown = effects(generator, [direction for _, direction in kept], first=FIRST, reader=reader)
    for (trait, direction), effect in zip(kept, shown, strict=True):
        reason = _elsewhere(trait, wanted, effect) or _twice(direction, found)
        if reason:
            left_out[trait.name] = reason
        else:
            words = [direction.about, effect.words()]
            found.append(replace(direction, about="; ".join(part for part in words if part)))
    return found, left_out


def _elsewhere(trait: Trait, others: Sequence[Trait], effect: Effect) -> str:
    """Why a direction does not lead where its name says, or nothing: rare things have models that look good and do little."""
    if trait.kind == "axis":
        return ""
    grows = effect.flips[trait.name]
    if grows < GROWS:
        return f"moving that way brings it to few pictures ({grows:+.0%})"
    rivals = [other.name for other in others if other.kind == "choice" and other.group == trait.group and trait.group]
    best = max(rivals, key=lambda name: effect.flips[name], default=trait.name)
    return "" if best == trait.name else f"moving that way brings {best} rather"


def _fitted(trait: Trait, w: Tensor, has: Tensor, spread: Tensor) -> Direction:
    """Logistic regression of `has` [N] on w [N, w_dim]; four fifths of them, and accuracy on the rest."""
    fit = len(w) * 4 // 5
    mean = w[:fit].mean(0)
    x = torch.cat([(w - mean) / spread, torch.ones(len(w), 1, device=w.device)], 1)
    weight = logistic(x[:fit], has[:fit].float())
    told, right = x[fit:] @ weight > 0, has[fit:]
    shares = [float((told[right == side] == side).float().mean()) for side in (True, False) if (right == side).any()]
    return Direction(
        name=trait.name,
        label=trait.name,
        vector=stepped(weight[:-1] / spread, w),
        kind=f"learned {trait.kind}",
        about=trait.about,
        accuracy=sum(shares) / len(shares),
    )


def logistic(x: Tensor, y: Tensor, *, decay: float = DECAY) -> Tensor:
    """The weights [D] of a ridge logistic regression of y [N] on x [N, D], whose last column is 1.

    By L-BFGS in float64. Those with y = 1 and those without weigh the same in all: rare ones would be given up.
    """
    inputs, wanted = x.double(), y.double()
    balance = torch.where(wanted > 0, 0.5 / wanted.mean(), 0.5 / (1 - wanted.mean()))
    weight = torch.zeros(x.shape[1], dtype=torch.float64, device=x.device, requires_grad=True)
    descent = torch.optim.LBFGS([weight], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        descent.zero_grad()
        value = (
            F.binary_cross_entropy_with_logits(inputs @ weight, wanted, balance)
            + decay / 2 * weight[:-1].square().sum()
        )
        value.backward()  # type: ignore[no-untyped-call]
        return value

    descent.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach().to(x.dtype)


def stepped(axis: Tensor, w: Tensor) -> Tensor:
    """The step of one deviation of w [N, w_dim] along an axis of any length."""
    axis = F.normalize(axis, dim=0)
    return axis * (w @ axis).std()


def _orthogonal(kept: Sequence[tuple[Trait, Direction]], w: Tensor) -> list[tuple[Trait, Direction]]:
    """Each without its part in the span of the single attributes and axes that are about other things."""
    main = [(trait, direction) for trait, direction in kept if trait.kind != "choice"]
    found = []
    for trait, direction in kept:
        others = [
            other.vector
            for its, other in main
            if other is not direction
            and (trait.group or trait.name) != (its.group or its.name)
            and abs(_cosine(direction.vector, other.vector)) < SAME
        ]
        vector = orthogonal(direction.vector, others)
        found.append((trait, replace(direction, vector=stepped(vector, w))))
    return found


def orthogonal(vector: Tensor, others: Sequence[Tensor]) -> Tensor:
    """`vector` [D] without its part in the span of the others [D]."""
    if not others:
        return vector
    basis, size, _ = torch.linalg.svd(torch.stack(list(others)).T, full_matrices=False)
    basis = basis[:, size > 1e-6 * size[0]]
    left: Tensor = vector - basis @ (basis.T @ vector)
    return left


def _cosine(one: Tensor, other: Tensor) -> float:
    return float(F.cosine_similarity(one, other, dim=0))
