"""Scores of a model that translates: for each direction, and the mean of both that decides between checkpoints.

What is translated. To say how good a model is: pictures that it was not trained on (the test part, else the validation
part, else, with a warning, the training part), held against the target domain's training pictures, as for other games. To
choose a checkpoint: validation pictures, else training ones; those for tests have no part in a choice. Where a part is
named, inputs and reals are both of that one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from simulacra.data.dataset import Pair
from simulacra.measure import scores
from simulacra.measure.extractors.features import Extractor, pictures_of
from simulacra.measure.intervals import Resampled, resampled_mean
from simulacra.measure.model_under_test import AT_ONCE, Advance, ModelUnderTest, identity, subsample
from simulacra.measure.scores import Measured, Score, round_to
from simulacra.measure.translation.both_directions import (
    MEAN,
    Direction,
    directions,
    distances,
    for_choice,
    held_out,
    means,
    ratio,
)
from simulacra.measure.translation.cycle import cycled, honesty, nearness, stayed, verdict
from simulacra.measure.translation.ground_truth import ground_truth_pairs
from simulacra.model import Model
from simulacra.translator import Translator, as_translator

DISTANCES = {
    "fd": frozenset(["fd"]),
    "kid": frozenset(["kid"]),
    "prdc": scores.NEAR,
    "diversity": frozenset(["diversity"]),
}
SINGLE = ("cycle", "identity", "pairs")  # those of single pictures
METRICS = (*DISTANCES, *SINGLE)
PIXEL = "a pixel from 0 to 1"
WHAT = {  # score -> which is better, a sentence
    "cycle-l1": ("lower", f"mean difference between a picture and what comes back of its translation, {PIXEL}"),
    "cycle-l1-disturbed": ("lower", "the same after rounding the translation to 8 bits and noise of 2/255 on it"),
    "honesty": ("higher", "1: what comes back depends on what is seen; near 0: on detail hidden in the translation"),
    "identity-l1": ("lower", f"mean difference made in pictures that are of the target domain already, {PIXEL}"),
    "pair-l1": ("lower", f"mean difference between a translation and its true partner, known by its file's name, {PIXEL}"),
    "pair-l1-untranslated": ("", "the same of the untranslated picture"),
    "pair-l1-ratio": ("lower", "error of the translation over that of the untranslated picture: below 1 is nearer"),
    "pair-ssim": ("higher", "structural similarity of a translation and its true partner, 1 for the same"),
    "pair-ssim-untranslated": ("", "the same of the untranslated picture"),
    "pair-dssim-ratio": ("lower", "what structural similarity lacks to 1, over that of the untranslated picture"),
}  # fmt: skip

Begin = Callable[[str, int], Advance]
Found = tuple[dict[str, Measured], dict[str, Any]]


def _quiet(what: str, total: int) -> Advance:
    return lambda n: None


class Translated:
    """What translators are scored on: the same pictures to translate and the same reals, in both directions."""

    def __init__(
        self,
        data: Pair,
        *,
        extractor: Extractor,
        on: str | None = None,
        samples: int,
        reals: int,
        choosing: bool = True,
        skip: int = 0,
        begin: Begin = _quiet,
    ) -> None:
        self.data, self.extractor, self.choosing, self.begin = data, extractor, choosing, begin
        self.inputs = on or (for_choice(data) if choosing else held_out(data))
        self.on, self.asked, self.reals, self.skip = on or "train", on, reals, skip
        # Where nothing else is left to judge the choice by, half of the pictures is left out of it.
        self.alone = choosing and (on or held_out(data)) == self.inputs
        n = min(domain.splits.get(self.inputs, 0) for domain in (data.a, data.b))
        self.samples = min(samples, n // 2) if self.alone and n >= 4 else samples
        self.directions = directions(
            data, extractor, inputs=self.inputs, on=self.on, samples=self.samples, reals=reals, skip=skip, begin=begin
        )
        told = {each.name: each.told() for each in self.directions}
        self.source: dict[str, Any] = {"inputs": self.inputs}
        self.terms: dict[str, Any] = {
            "extractor": identity(extractor),
            "on": self.on,
            "data": data.hash,
            "n": min(each["n"] for each in told.values()),
            "n_real": min(each["n_real"] for each in told.values()),
            **self.source,
            "directions": told,
        }
        self.total = sum(each.n for each in self.directions)
        self.leads = f"{scores.leading(extractor, self.terms['n'], self.terms['n_real'])}:{MEAN}"

    def measured(self, model: Model, advance: Advance = lambda n: None) -> dict[str, Measured]:
        """The scores by name; of single pictures only those that are not for a choice, which no names may touch."""
        return self.of(model, frozenset(scores.KINDS), advance) | ({} if self.choosing else self._single(model))

    def of(self, model: Model, kinds: frozenset[str], advance: Advance = lambda n: None) -> dict[str, Measured]:
        """The scores of features of these kinds."""
        translator, found = as_translator(model), dict[str, Measured]()
        for each in self.directions:
            found |= each.named(scores.measured(self.extractor, each.real, each.fakes(translator, advance), kinds))
        return means(found) | found

    def _single(self, model: Model) -> dict[str, Measured]:
        translator, found = as_translator(model), dict[str, Measured]()
        for each in self.directions:
            for word in SINGLE:
                found |= single(word, each, translator, self.data, self.inputs)[0]
        return {name: score for name, score in found.items() if score.better and "-ratio" not in name}

    def lead(self, model: Model, kind: str, advance: Advance = lambda n: None) -> Resampled:
        """The mean of the score of `kind` alone."""
        found = self.of(model, frozenset([kind]), advance)
        return found[f"{scores.named(kind, self.extractor)}:{MEAN}"].made

    def fresh(self) -> Translated:
        """The same on pictures that have no part in this one, as far as there are any."""
        same: dict[str, Any] = {"extractor": self.extractor, "samples": self.samples, "reals": self.reals}
        if not self.alone:
            return Translated(self.data, choosing=False, begin=self.begin, **same)
        skip = self.samples if min(each.n for each in self.directions) == self.samples else 0
        made = Translated(self.data, on=self.asked or self.inputs, choosing=False, skip=skip, begin=self.begin, **same)
        made.source = {"inputs": f"{self.inputs}, {'others' if skip else 'the same'}"}
        return made


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the certificate of a translator is made from."""

    subject: ModelUnderTest
    generator: Translator
    extractor: Extractor
    data: Pair
    on: str | None
    samples: int
    begin: Begin

    @cached_property
    def bench(self) -> Translated:
        """What it is scored on."""
        return Translated(
            self.data, extractor=self.extractor, on=self.on, samples=self.samples, reals=self.samples, choosing=False,
            begin=self.begin,
        )  # fmt: skip

    def possible(self) -> list[str]:
        """Those that the data allows."""
        pairs = len(ground_truth_pairs(self.data, self.bench.inputs)) > 1
        return [word for word in METRICS if pairs or word != "pairs"]

    def found(self, metrics: Collection[str]) -> tuple[dict[str, Score], dict[str, Any]]:
        """The scores, and all else that goes into the certificate."""
        bench, kinds = self.bench, frozenset[str]().union(*(DISTANCES.get(word, ()) for word in metrics))
        made, told = dict[str, Measured](), dict[str, Any]()
        for each in bench.directions:
            if kinds:
                fakes = each.fakes(self.generator, self.begin(f"Translations, {each.way}", each.n))
                made |= distances(each, fakes, kinds)
            for word in (word for word in SINGLE if word in metrics):
                begun = self.begin(f"{word.capitalize()}, {each.way}", 1)
                found, extra = single(word, each, self.generator, self.data, bench.inputs)
                begun(1)
                made |= found
                for key, value in extra.items():
                    told.setdefault(key, {})[each.name] = value
        made = means(made) | made
        return {name: score.score() for name, score in made.items()}, self._terms() | told | self._beware(told)

    def _terms(self) -> dict[str, Any]:
        terms, data = self.bench.terms, self.data
        measured_on = {"on": terms["on"], "inputs": terms["inputs"], "pictures": terms["n_real"]}
        told = {"name": data.name, "hash": data.hash, **measured_on, "size": list(data.shape)}
        return {"data": told, "n": terms["n"], "leads": self.bench.leads, "directions": terms["directions"]}

    def _beware(self, told: dict[str, Any]) -> dict[str, Any]:
        said = [line["sentence"] for line in told.get("honesty", {}).values() if line["verdict"] == "hiding"]
        if self.bench.inputs == "train":
            said.append("The pictures that were translated are those it was trained on, which may flatter it.")
        if {*self.generator.classes} == {*self.data.domains} and self.generator.classes != self.data.domains:
            said.append(f"The domains of {self.data.name} are the other way round than those the model was trained on.")
        return {"warnings": said}


def single(word: str, direction: Direction, translator: Translator, data: Pair, part: str) -> Found:
    """Scores of single pictures, and what else is to be told of them."""
    if word == "cycle":
        return _cycle(direction, translator)
    return (_identity(direction, translator) if word == "identity" else _pairs(direction, translator, data, part)), {}


def _measured(direction: Direction, found: dict[str, Resampled], n: int) -> dict[str, Measured]:
    """Under their names, with what is said of them."""
    made = {}
    for name, score in found.items():
        better, what = WHAT[name]
        made[name] = Measured(made=score, better=better, what=what, n=n, n_real=n if name.startswith("pair") else 0)
    return direction.named(made)


def _cycle(direction: Direction, translator: Translator) -> Found:
    cycle = cycled(translator, direction.batches(), direction.to)
    found = {"cycle-l1": resampled_mean(cycle.clean), "cycle-l1-disturbed": resampled_mean(cycle.disturbed)}
    clean, disturbed, found["honesty"] = *(each.value for each in found.values()), honesty(cycle)
    word, sentence = verdict(found["honesty"].value, clean, disturbed, direction.way)
    told = {"value": round_to(found["honesty"].value), "verdict": word, "sentence": sentence}
    return _measured(direction, found, direction.n), {"honesty": told}


def _identity(direction: Direction, translator: Translator) -> dict[str, Measured]:
    rows = subsample(len(direction.others), direction.n)
    values = stayed(translator, pictures_of(direction.others, rows, AT_ONCE), direction.to)
    return _measured(direction, {"identity-l1": resampled_mean(values)}, len(rows))


def _pairs(direction: Direction, translator: Translator, data: Pair, part: str) -> dict[str, Measured]:
    known = ground_truth_pairs(data, part)
    given, aim = known.T if direction.to == "b" else known.T[::-1]
    mine = np.isin(given, direction.chosen)
    given, aim = given[mine], aim[mine]
    if len(given) < 2:
        return {}
    near = nearness(translator, direction.batches(given), pictures_of(direction.others, aim, AT_ONCE), direction.to)
    found = {"pair-l1": resampled_mean(near.l1), "pair-l1-untranslated": resampled_mean(near.l1_untranslated)}
    found |= {"pair-ssim": resampled_mean(near.ssim), "pair-ssim-untranslated": resampled_mean(near.ssim_untranslated)}
    lacking = [resampled_mean(1 - each) for each in (near.ssim, near.ssim_untranslated)]
    ratios = {"pair-l1-ratio": ratio(*list(found.values())[:2]), "pair-dssim-ratio": ratio(*lacking)}
    found |= {name: score for name, score in ratios.items() if score is not None}
    return _measured(direction, found, len(given))
