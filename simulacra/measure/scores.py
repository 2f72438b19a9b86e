"""Scores with a name, an interval and a sentence. A name carries extractor and layer: `fd-efl0-112` is not FID."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from simulacra.measure import distances
from simulacra.measure.distances import Floats
from simulacra.measure.extractors.features import Extractor, Features
from simulacra.measure.intervals import (
    Floor,
    Resampled,
    floor,
    resampled_diversity_ratio,
    resampled_frechet,
    resampled_kid,
    resampled_neighbours,
)

ENOUGH = 2000  # pictures on each side from which the Fréchet distance is steady; below, KID leads
WIDE, FEW = 256, 20  # above so many dimensions a resample of the Fréchet distance costs seconds: fewer of them


@dataclass(frozen=True, kw_only=True)
class Score:
    """A score as it is told."""

    value: float
    low: float
    high: float
    n: int  # fakes
    n_real: int
    better: str  # lower, higher or nothing
    what: str
    floor: float | None = None  # the same score of reals against reals, half against half
    n_floor: int | None = None  # in each half

    def told(self) -> dict[str, Any]:
        """As JSON, numbers to six digits."""
        return {key: round_to(value) for key, value in vars(self).items()}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A score that is still resampled, so that another one's can be subtracted."""

    made: Resampled
    better: str
    what: str
    n: int
    n_real: int
    floor: Floor | None = None

    def score(self) -> Score:
        """As it is told."""
        least, interval = self.floor, self.made.interval()
        return Score(
            value=interval.value,
            low=interval.low,
            high=interval.high,
            n=self.n,
            n_real=self.n_real,
            better=self.better,
            what=self.what,
            floor=least.value if least else None,
            n_floor=least.n if least else None,
        )


KINDS = {  # score -> which is better, a sentence
    "fd": ("lower", "Fréchet distance between the features of fakes and reals: quality and variety in one number"),
    "kid": ("lower", "kernel distance between the features of fakes and reals, unbiased for few pictures"),
    "precision": ("higher", "share of fakes that lie among the reals: how good a single picture is"),
    "recall": ("higher", "share of reals that lie among the fakes: how much of the variety is there"),
    "density": ("higher", "how many reals' neighbourhoods a fake lies in, over what is expected"),
    "coverage": ("higher", "share of reals with a fake in their neighbourhood"),
    "diversity": ("higher", "mean distance between two fakes over that between two reals: near 0 is a collapse"),
}

NEAR = frozenset(["precision", "recall", "density", "coverage"])


def named(kind: str, extractor: Extractor) -> str:
    """`fd` -> `fd-efl0-112`."""
    layer = {"fd": extractor.fd_layer, "kid": extractor.kid_layer}.get(kind, extractor.neighbour_layer)
    return f"{kind}-{extractor.name}-{layer}"


def leading(extractor: Extractor, n: int, n_real: int) -> str:
    """The score that decides: the Fréchet distance, or KID where a side has fewer than 2,000 pictures."""
    return named("fd" if min(n, n_real) >= ENOUGH else "kid", extractor)


def resampled(
    extractor: Extractor, real: Features, fake: Features, kinds: frozenset[str] = frozenset(KINDS)
) -> dict[str, Resampled]:
    """The scores of `kinds` by name, resampled with one seed, so that those of two models can be subtracted."""
    found: dict[str, Resampled] = {}
    a, b = real[extractor.fd_layer], fake[extractor.fd_layer]
    if "fd" in kinds:
        found["fd"] = resampled_frechet(a, b, **({"resamples": FEW} if a.shape[1] > WIDE else {}))
    if "kid" in kinds:
        found["kid"] = resampled_kid(real[extractor.kid_layer], fake[extractor.kid_layer])
    a, b = real[extractor.neighbour_layer], fake[extractor.neighbour_layer]
    if kinds & NEAR:
        found |= {kind: score for kind, score in resampled_neighbours(a, b).items() if kind in kinds}
    if "diversity" in kinds:
        found["diversity"] = resampled_diversity_ratio(a, b)
    return {named(kind, extractor): value for kind, value in found.items() if kind in kinds}


def measured(
    extractor: Extractor,
    real: Features,
    fake: Features,
    kinds: frozenset[str] = frozenset(KINDS),
    floors: Mapping[str, Floor | None] | None = None,
) -> dict[str, Measured]:
    """The scores of `kinds` by name. `floors`: those of `floors_of`, where they are wanted."""
    made = {}
    for name, score in resampled(extractor, real, fake, kinds).items():
        better, what = KINDS[name.partition("-")[0]]
        n, n_real, floor = len(fake[extractor.fd_layer]), len(real[extractor.fd_layer]), (floors or {}).get(name)
        made[name] = Measured(made=score, better=better, what=what, n=n, n_real=n_real, floor=floor)
    return made


def scored(
    extractor: Extractor,
    real: Features,
    fake: Features,
    kinds: frozenset[str] = frozenset(KINDS),
    floors: Mapping[str, Floor | None] | None = None,
) -> dict[str, Score]:
    """The same as they are told."""
    return {name: each.score() for name, each in measured(extractor, real, fake, kinds, floors).items()}


def floors_of(
    extractor: Extractor, real: Features, kinds: frozenset[str], unseen: Features | None = None
) -> dict[str, Floor | None]:
    """What the scores come to between reals and reals by name: half against half, or against the `unseen` ones."""
    measures: dict[str, tuple[Callable[..., float], str]] = {
        "fd": (distances.frechet, extractor.fd_layer),
        "kid": (distances.kid, extractor.kid_layer),
        "diversity": (distances.diversity_ratio, extractor.neighbour_layer),
    }
    measures |= {kind: (partial(_near, kind), extractor.neighbour_layer) for kind in NEAR}
    return {
        named(kind, extractor): floor(score, real[layer])
        if unseen is None
        else Floor(score(real[layer], unseen[layer]), len(unseen[layer]))
        for kind, (score, layer) in measures.items()
        if kind in kinds
    }


def _near(kind: str, real: Floats, fake: Floats) -> float:
    return float(getattr(distances.neighbours(real, fake), kind).mean())


def round_to(value: Any) -> Any:
    """A number to six digits; anything else as it is."""
    return float(f"{value:.6g}") if isinstance(value, float) else value
