"""What models are scored on, alike for all of them: real pictures, and the seeds or pictures that fakes are made from."""

from __future__ import annotations

from typing import Any, Protocol

from simulacra.data.dataset import Dataset, Pair
from simulacra.errors import SimulacraError
from simulacra.generator import as_generator
from simulacra.measure import scores
from simulacra.measure.extractors.features import Extractor, Features
from simulacra.measure.intervals import Resampled
from simulacra.measure.model_under_test import CHOSEN, Advance, fakes_of, identity, reals_of
from simulacra.measure.scores import Measured
from simulacra.measure.translation.evaluation import Begin, Translated
from simulacra.model import Model


class Bench(Protocol):
    """Terms that decide a score, and scores on these terms."""

    terms: dict[str, Any]
    source: dict[str, Any]  # of these terms, what the fakes are made from
    leads: str  # the score that decides
    total: int  # fakes of a model

    def measured(self, model: Model, advance: Advance = ...) -> dict[str, Measured]:
        """The scores by name."""
        ...

    def lead(self, model: Model, kind: str, advance: Advance = ...) -> Resampled:
        """What decides, where that is a score of `kind`."""
        ...

    def fresh(self) -> Bench:
        """The same with fakes that have no part in this one."""
        ...


class Drawn:
    """For models that draw from seeds."""

    def __init__(
        self, data: Dataset, *, extractor: Extractor, on: str, samples: int, reals: int, first: int, begin: Begin
    ) -> None:
        part = data.split(on)
        if samples < 2 or len(part) < 2:
            raise SimulacraError(
                f"Scores need at least 2 pictures of each kind: {samples} samples against {len(part)} pictures of {on}."
            )
        self.extractor, self.total = extractor, samples
        self.reals: Features = reals_of(part, extractor, reals, begin(f"Reals, {on}", min(len(part), reals)))
        self._with_seeds(first)
        n_real = len(self.reals[extractor.fd_layer])
        self.terms: dict[str, Any] = {
            "extractor": identity(extractor),
            "on": on,
            "data": data.hash,
            "n": samples,
            "n_real": n_real,
            **self.source,
        }
        self.leads = scores.leading(extractor, samples, n_real)

    def _with_seeds(self, first: int) -> None:
        self.seeds = range(first, first + self.total)
        self.source = {"seeds": f"{first}-{self.seeds[-1]}"}

    def fakes(self, model: Model, advance: Advance = lambda n: None) -> Features:
        """Features of the fakes that are scored."""
        return fakes_of(as_generator(model), self.extractor, self.seeds, advance)

    def measured(self, model: Model, advance: Advance = lambda n: None) -> dict[str, Measured]:
        """The scores by name."""
        return scores.measured(self.extractor, self.reals, self.fakes(model, advance))

    def lead(self, model: Model, kind: str, advance: Advance = lambda n: None) -> Resampled:
        """The score of `kind`."""
        fakes = self.fakes(model, advance)
        return scores.resampled(self.extractor, self.reals, fakes, frozenset([kind]))[
            scores.named(kind, self.extractor)
        ]

    def fresh(self) -> Drawn:
        """The same with the seeds that reported scores are of."""
        made = object.__new__(Drawn)
        made.__dict__.update(self.__dict__)
        made._with_seeds(CHOSEN)
        return made


def open_bench(
    data: Dataset | Pair,
    *,
    extractor: Extractor,
    on: str | None,
    samples: int,
    reals: int,
    choosing: bool,
    begin: Begin = lambda what, total: lambda n: None,
) -> Bench:
    """The bench for models that make the pictures of `data`: translators where it is a pair.

    choosing: for a choice of checkpoints; else for scores that are reported, which are of other seeds or pictures.
    """
    if isinstance(data, Pair):
        if samples < 2:
            raise SimulacraError(f"Scores need at least 2 pictures of each kind, not {samples} samples.")
        return Translated(
            data, extractor=extractor, on=on, samples=samples, reals=reals, choosing=choosing, begin=begin
        )
    return Drawn(
        data, extractor=extractor, on=on or "train", samples=samples, reals=reals, first=0 if choosing else CHOSEN,
        begin=begin,
    )  # fmt: skip
