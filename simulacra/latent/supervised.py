"""Directions learned from labels: a classifier labels generated pictures, and a linear model in w separates them.

(Denton et al. 2019, arXiv:1906.06439; InterFaceGAN: Shen et al. 2020, arXiv:1907.10786, conditional manipulation.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from simulacra.console import Advance, Begin, silent
from simulacra.data.dataset import Dataset
from simulacra.errors import SimulacraError
from simulacra.generator import Generator
from simulacra.latent.attribute_classifier import STEPS, AttributeClassifier, train_classifier
from simulacra.latent.discovery import MAX_COSINE
from simulacra.latent.effects import Effect, draw, measure_effects
from simulacra.latent.recipe import Direction
from simulacra.latent.traits import Trait, traits
from simulacra.latent.unsupervised import seeds_to_w
from simulacra.messages import Message, text

SAMPLES, MIN_SAMPLES = 4000, 100  # generated pictures
FIRST_SEED = 10_000_000  # of them, far from the seeds that users look at
MIN_ACCURACY, MIN_LINEAR = 0.8, 0.6  # balanced accuracy required of the classifier and of the linear model
MIN_SHARE = 0.02  # of generated pictures, with and without a trait
MIN_FLIP = 0.25  # share of pictures that must gain the trait from strength -2 to +2
DECAY = 1e-3
SAME = 0.5  # cosine from which on two directions share a subject and are not made orthogonal
BATCH = 64
KINDS = ("learned attribute", "learned axis", "learned choice")  # of a direction, as files have them


@dataclass(frozen=True, kw_only=True)
class LearnedDirections:
    """Directions, the reasons for traits without one, and the classifier."""

    directions: list[Direction]
    left_out: dict[str, Message]
    classifier: AttributeClassifier


def learn_directions(
    generator: Generator,
    data: Dataset,
    *,
    classifier: AttributeClassifier | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
    orthogonal: bool = False,
    begin: Begin = silent,
) -> LearnedDirections:
    """A direction for each trait of the data that a classifier recognises and w decides.

    Single attributes come first, then axes of groups, then choices, each with the balanced accuracy of its linear model
    on held-out generated pictures. classifier: trained on `data` by default. orthogonal: each direction loses its part
    along the attributes and axes of other subjects.
    Raises `SimulacraError` for data without labels or of another shape, and for too few samples.
    """
    if data.shape != generator.shape:
        raise SimulacraError("latent.data_of_another_shape", shape=data.shape, wanted=generator.shape)
    if samples < MIN_SAMPLES:
        raise SimulacraError("latent.too_few_samples", samples=samples, least=MIN_SAMPLES)
    if classifier is None:
        advance = begin(text("latent.progress_classifier"), STEPS)
        classifier = train_classifier(data, seed=seed, steps=STEPS, device=generator.device, advance=advance)
    candidates = traits(data, classifier)
    w, logits = label_samples(generator, classifier, samples, advance=begin(text("latent.progress_labels"), samples))
    deviations = w.std(0).clamp(min=1e-8)
    fits: list[tuple[Trait, Direction]] = []
    left_out: dict[str, Message] = {}
    for trait in candidates:
        reason = _unrecognised(trait, classifier, logits)
        if reason is None:
            direction = _fit(trait, w, trait.score(logits) > 0, deviations)
            reason = _inaccurate(direction)
            if reason is None:
                fits.append((trait, direction))
        if reason is not None:
            left_out[trait.name] = reason
    if orthogonal:
        fits = _orthogonalise(fits, w)
    directions, without_effect = _verify(generator, fits, candidates, classifier)
    return LearnedDirections(directions=directions, left_out=left_out | without_effect, classifier=classifier)


@torch.no_grad()
def label_samples(
    generator: Generator,
    classifier: AttributeClassifier,
    samples: int,
    *,
    first: int = FIRST_SEED,
    advance: Advance = lambda n: None,
) -> tuple[Tensor, Tensor]:
    """w [N, w_dim] of generated pictures and the classifier's logits of them [N, A]."""
    generator.eval()
    ws, logits = [], []
    for start in range(first, first + samples, BATCH):
        w = seeds_to_w(generator, range(start, min(start + BATCH, first + samples)))
        ws.append(w[:, : generator.w_dim])
        logits.append(classifier.logits(draw(generator, w)))
        advance(len(w))
    return torch.cat(ws), torch.cat(logits)


def _unrecognised(trait: Trait, classifier: AttributeClassifier, logits: Tensor) -> Message | None:
    """Why nothing can be learned of a trait; None if it can."""
    accuracy = min(classifier.accuracy[column] for column in trait.columns)
    if accuracy != accuracy:
        return Message("latent.left_out_too_few")
    if accuracy < MIN_ACCURACY:
        return Message("latent.left_out_unrecognised", accuracy=accuracy)
    share = float((trait.score(logits) > 0).float().mean())
    if not MIN_SHARE <= share <= 1 - MIN_SHARE:
        return Message("latent.left_out_share", share=share)
    return None


def _inaccurate(direction: Direction) -> Message | None:
    """Why a linear model is discarded; None if it is not."""
    assert direction.accuracy is not None
    if direction.accuracy < MIN_LINEAR:
        return Message("latent.left_out_inaccurate", accuracy=direction.accuracy)
    return None


def _duplicate(direction: Direction, others: Sequence[Direction]) -> Message | None:
    """Which other direction is the same; None for none."""
    for other in others:
        if abs(_cosine(direction.vector, other.vector)) >= MAX_COSINE:
            return Message("latent.left_out_duplicate", name=other.name)
    return None


def _verify(
    generator: Generator,
    fits: Sequence[tuple[Trait, Direction]],
    candidates: Sequence[Trait],
    classifier: AttributeClassifier,
) -> tuple[list[Direction], dict[str, Message]]:
    """Directions that change what their name says, with words for all that they change; reasons for the others."""
    directions: list[Direction] = []
    left_out = {}
    effects = measure_effects(generator, [fit for _, fit in fits], first=FIRST_SEED, classifier=classifier)
    for (trait, direction), effect in zip(fits, effects, strict=True):
        reason = _without_effect(trait, candidates, effect) or _duplicate(direction, directions)
        if reason is not None:
            left_out[trait.name] = reason
        else:
            words = [direction.about, effect.words()]
            directions.append(replace(direction, about="; ".join(part for part in words if part)))
    return directions, left_out


def _without_effect(trait: Trait, candidates: Sequence[Trait], effect: Effect) -> Message | None:
    """Why a direction does not change what its name says; None if it does.

    Rare traits have linear models that are accurate and change little.
    """
    if trait.kind == "axis":
        return None
    growth = effect.flips[trait.name]
    if growth < MIN_FLIP:
        return Message("latent.left_out_weak", growth=growth)
    rivals = [
        other.name for other in candidates if other.kind == "choice" and other.group == trait.group and trait.group
    ]
    best = max(rivals, key=lambda name: effect.flips[name], default=trait.name)
    return None if best == trait.name else Message("latent.left_out_rival", name=best)


def _fit(trait: Trait, w: Tensor, has: Tensor, deviations: Tensor) -> Direction:
    """Logistic regression of `has` [N] on w [N, w_dim], with its accuracy on the fifth that is held out."""
    fit = len(w) * 4 // 5
    mean = w[:fit].mean(0)
    x = torch.cat([(w - mean) / deviations, torch.ones(len(w), 1, device=w.device)], 1)
    weight = logistic_regression(x[:fit], has[:fit].float())
    predicted, right = x[fit:] @ weight > 0, has[fit:]
    shares = [
        float((predicted[right == side] == side).float().mean()) for side in (True, False) if (right == side).any()
    ]
    return Direction(
        name=trait.name,
        label=trait.name,
        vector=unit_step(weight[:-1] / deviations, w),
        kind=f"learned {trait.kind}",
        about=trait.about,
        accuracy=sum(shares) / len(shares),
    )


def logistic_regression(x: Tensor, y: Tensor, *, decay: float = DECAY) -> Tensor:
    """Weights [D] of a ridge logistic regression of y [N] on x [N, D], whose last column is 1.

    By L-BFGS in float64. Both classes have the same total weight, or a rare one would be ignored.
    """
    inputs, targets = x.double(), y.double()
    balance = torch.where(targets > 0, 0.5 / targets.mean(), 0.5 / (1 - targets.mean()))
    weight = torch.zeros(x.shape[1], dtype=torch.float64, device=x.device, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = (
            F.binary_cross_entropy_with_logits(inputs @ weight, targets, balance)
            + decay / 2 * weight[:-1].square().sum()
        )
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach().to(x.dtype)


def unit_step(axis: Tensor, w: Tensor) -> Tensor:
    """The step along an axis of any length that is one standard deviation of w [N, w_dim]."""
    axis = F.normalize(axis, dim=0)
    return axis * (w @ axis).std()


def _orthogonalise(fits: Sequence[tuple[Trait, Direction]], w: Tensor) -> list[tuple[Trait, Direction]]:
    """Directions without their parts in the span of the single attributes and axes of other subjects."""
    main = [(trait, direction) for trait, direction in fits if trait.kind != "choice"]
    result = []
    for trait, direction in fits:
        others = [
            other.vector
            for other_trait, other in main
            if other is not direction
            and (trait.group or trait.name) != (other_trait.group or other_trait.name)
            and abs(_cosine(direction.vector, other.vector)) < SAME
        ]
        vector = without_span(direction.vector, others)
        result.append((trait, replace(direction, vector=unit_step(vector, w))))
    return result


def without_span(vector: Tensor, others: Sequence[Tensor]) -> Tensor:
    """`vector` [D] without its part in the span of the others [D]."""
    if not others:
        return vector
    basis, size, _ = torch.linalg.svd(torch.stack(list(others)).T, full_matrices=False)
    basis = basis[:, size > 1e-6 * size[0]]
    remainder: Tensor = vector - basis @ (basis.T @ vector)
    return remainder


def _cosine(a: Tensor, b: Tensor) -> float:
    return float(F.cosine_similarity(a, b, dim=0))
