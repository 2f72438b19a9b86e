"""The two directions of a translation: which pictures are translated, which real ones they are held against.

Which pictures is a function of the data set's size alone. The names of files, by which pictures of two domains may be known
to show the same, have no part in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from simulacra.data.dataset import Dataset, Pair
from simulacra.errors import SimulacraError
from simulacra.measure import scores
from simulacra.measure.extractors.features import Extractor, Features, features_of, features_of_data, pictures_of
from simulacra.measure.intervals import Floor, Resampled
from simulacra.measure.model_under_test import AT_ONCE, Advance, subsample
from simulacra.measure.scores import Measured
from simulacra.translator import OTHER, Side, Translator

MEAN = "mean"  # of both directions
HELD_OUT = ("test", "valid")

Rows = NDArray[np.int64]


def has(data: Pair, part: str) -> bool:
    """Whether both domains have at least two pictures in a part."""
    return min(data.a.splits.get(part, 0), data.b.splits.get(part, 0)) >= 2


def held_out(data: Pair) -> str:
    """The part whose pictures say most of a translator: one that it was not trained on, where there is one."""
    return next((part for part in HELD_OUT if has(data, part)), "train")


def for_choice(data: Pair) -> str:
    """The part whose pictures a choice of checkpoints may see: never that for tests."""
    return "valid" if has(data, "valid") else "train"


@dataclass(kw_only=True)
class Direction:
    """One of the two. `a2b`: pictures of the domain a are translated, and held against those of b."""

    name: str
    to: Side
    way: str  # `horses to zebras`
    extractor: Extractor
    inputs: Dataset  # the part of the one domain, of which `chosen` are translated
    chosen: Rows
    reals: Dataset  # the part of the other, of which `known` are compared with
    known: Rows
    others: Dataset  # pictures of the other domain from the part that the inputs are of
    begin: Callable[[str, int], Advance]

    @property
    def n(self) -> int:
        """How many are translated."""
        return len(self.chosen)

    @property
    def apart(self) -> bool:
        """Whether the inputs are of another part than the reals, so that `others` are unseen reals."""
        return self.others.splits != self.reals.splits

    def batches(self, rows: Rows | None = None) -> Iterator[Tensor]:
        """The pictures to be translated, or those of `rows`."""
        return pictures_of(self.inputs, self.chosen if rows is None else rows, AT_ONCE)

    @cached_property
    def real(self) -> Features:
        """Features of the target domain's pictures."""
        begun = self.begin(f"Reals, {self.way.rpartition(' to ')[2]}", len(self.known))
        return features_of_data(self.extractor, self.reals, self.known, begun)

    @cached_property
    def untranslated(self) -> Features:
        """Features of the pictures to be translated, as they are."""
        return features_of_data(self.extractor, self.inputs, self.chosen, self.begin("Untranslated", self.n))

    @cached_property
    def unseen(self) -> Features | None:
        """Features of the target domain's pictures from the inputs' part; None where that is the reals' part too."""
        if not self.apart:
            return None
        rows = subsample(len(self.others), self.n)
        return features_of_data(self.extractor, self.others, rows, self.begin("Reals, held out", len(rows)))

    def fakes(self, translator: Translator, advance: Advance) -> Features:
        """Features of the translations."""
        return features_of(self.extractor, translator.translations(self.batches(), self.to), self.n, advance)

    def named(self, found: Mapping[str, Measured]) -> dict[str, Measured]:
        """Scores under this direction's name: `fd-efl0-112:a2b`."""
        return {f"{name}:{self.name}": each for name, each in found.items()}

    def told(self) -> dict[str, Any]:
        """As JSON."""
        one, _, other = self.way.partition(" to ")
        return {"from": one, "to": other, "n": self.n, "n_real": len(self.known)}


def directions(
    data: Pair,
    extractor: Extractor,
    *,
    inputs: str,
    on: str,
    samples: int,
    reals: int,
    skip: int = 0,
    begin: Callable[[str, int], Advance] = lambda what, total: lambda n: None,
) -> list[Direction]:
    """Both directions of a pair: at most `samples` pictures of the part `inputs` against at most `reals` of `on`.

    Raises `SimulacraError` where a part of a domain has fewer than two pictures.
    """
    given, known = _domains(data, inputs), _domains(data, on)
    made = []
    for side, other in OTHER.items():
        chosen = subsample(len(given[side]), samples, skip)
        for count, part in ((len(chosen), inputs), (len(known[other]), on)):
            if count < 2:
                raise SimulacraError(
                    f"Scores need at least 2 pictures of each domain; {data.name} has {count} of {part}."
                )
        way = " to ".join(data.domains if side == "a" else data.domains[::-1])
        made.append(
            Direction(
                name=f"{side}2{other}",
                to=other,
                way=way,
                extractor=extractor,
                inputs=given[side],
                chosen=chosen,
                reals=known[other],
                known=subsample(len(known[other]), reals),
                others=given[other],
                begin=begin,
            )
        )
    return made


def _domains(data: Pair, part: str) -> dict[Side, Dataset]:
    return {"a": data.a.split(part), "b": data.b.split(part)}


def means(found: Mapping[str, Measured]) -> dict[str, Measured]:
    """The Fréchet distances and KIDs of both directions, as their means: `kid-efl0-1280:mean`."""
    made = {}
    for name, one in found.items():
        kind, _, direction = name.rpartition(":")
        if direction == "a2b" and kind.startswith(("fd-", "kid-")) and (other := found.get(f"{kind}:b2a")):
            each = [one, other]
            drawn = np.mean([score.made.replicates for score in each], axis=0)
            mean = Resampled.of(float(np.mean([score.made.value for score in each])), drawn, least=one.made.least)
            n, n_real = (min(getattr(score, key) for score in each) for key in ("n", "n_real"))
            floors = [score.floor for score in each if score.floor]
            least = (
                Floor(float(np.mean([f.value for f in floors])), min(f.n for f in floors)) if len(floors) > 1 else None
            )
            what = f"{one.what}; the mean of both directions"
            made[f"{kind}:{MEAN}"] = Measured(made=mean, better=one.better, what=what, n=n, n_real=n_real, floor=least)
    return made


def ratio(above: Resampled, below: Resampled) -> Resampled | None:
    """One score over another on the same pictures; None where the lower one may be nothing."""
    if below.value <= 0 or (below.replicates <= 0).any():
        return None
    least = 0.0 if above.least == 0 else -np.inf
    return Resampled.of(above.value / below.value, above.replicates / below.replicates, least=least)


def distances(direction: Direction, fakes: Features, kinds: frozenset[str]) -> dict[str, Measured]:
    """The scores of features, with floors, beside those of the untranslated pictures and with their ratios."""
    eyes, real = direction.extractor, direction.real
    floors = scores.floors_of(eyes, real, kinds, direction.unseen)
    made = scores.measured(eyes, real, fakes, kinds, floors)
    for name, before in scores.measured(eyes, real, direction.untranslated, kinds & {"fd", "kid"}).items():
        what = before.what.replace("of fakes and reals", "of the untranslated pictures and reals")
        made[f"{name}-untranslated"] = replace(before, better="", what=what)
        after = made[name]
        if (left := ratio(after.made, before.made)) is not None:
            floor = after.floor and after.floor._replace(value=after.floor.value / before.made.value)
            what = "the same over that of the untranslated pictures: how much of the way between the domains is left"
            made[f"{name}-ratio"] = replace(after, made=left, what=what, floor=floor)
    return direction.named(made)
