"""The scores of one set of pictures against another, whatever their sources; see `picture_sets`.

The same pictures under names of the same order give the same record to the bit, on one machine. Another order changes
which pictures a bootstrap draws, and so the last digits of intervals and floors.
"""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from simulacra.console import Begin, silent
from simulacra.errors import SimulacraError
from simulacra.files import disk_errors
from simulacra.measure import grain, scores
from simulacra.measure.certificate import FEW, versions
from simulacra.measure.extractors.features import DEFAULT, Extractor, open_extractor
from simulacra.measure.measured_set import MeasuredSet, measure
from simulacra.measure.memorisation import TRAINING, copy_scores
from simulacra.measure.metrics import Metric, feature_metrics
from simulacra.measure.model_under_test import identity, subsample
from simulacra.measure.permutation import p_of_one_source
from simulacra.measure.picture_sets import Size, Where, common_size, median_size, open_set
from simulacra.measure.score_records import SetScores, english
from simulacra.measure.scores import ENOUGH, Score, as_score
from simulacra.messages import Message, text

FORMAT = "simulacra-score-1"
SAMPLES = 5000
LEAST = 5  # pictures: the bootstrap's 95 % interval of KID covers 15 % with 2, 69 to 83 % with 3, 93 to 99 % from 5 on
PAIRS = 12  # nearest pairs shown
SHEET = 36  # pictures of a set shown


@dataclass(frozen=True, kw_only=True)
class ScoredSets:
    """The record, and the pictures that are shown beside it, [h, w, 3] uint8."""

    record: SetScores
    pairs: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]  # fakes with their nearest reals, the nearest first
    fakes: list[NDArray[np.uint8]]
    reals: list[NDArray[np.uint8]]


def score_sets(
    fakes: Where,
    reals: Where,
    *,
    unseen: Where | None = None,
    samples: int = SAMPLES,
    extractor: str | Extractor = DEFAULT,
    weights: str | Path | None = None,
    sha256: str | None = None,
    device: str | torch.device = "cpu",
    advance: Begin = silent,
) -> ScoredSets:
    """Score the pictures `fakes` against the pictures `reals`, at most `samples` of each; see `publish.scoring.score`."""
    if samples < LEAST:
        raise SimulacraError("measure.set_samples", samples=samples, least=LEAST)
    with contextlib.ExitStack() as stack:
        opened = [
            stack.enter_context(open_set(fakes, samples=samples, model=True, device=device)),
            stack.enter_context(open_set(reals, samples=samples, device=device)),
        ]
        if unseen is not None:
            opened.append(stack.enter_context(open_set(unseen, samples=samples, device=device)))
        elif opened[1].unseen is not None:
            opened.append(opened[1].unseen)
        if isinstance(extractor, str):
            extractor = open_extractor(extractor, device=device, weights=weights, sha256=sha256)
        medians = [median_size(pictures) for pictures in opened]
        size = common_size(medians[:2])  # unseen pictures change no score
        scratch = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="simulacra-", ignore_cleanup_errors=True))
        )
        # without unseen pictures nobody asks whether fakes are copies, and those that are scored will do
        limits = [(samples, 0), (samples, TRAINING if len(opened) > 2 else 0), (0, TRAINING)]
        titles = ("measure.progress_fakes", "measure.progress_set_reals", "measure.progress_set_unseen")
        measured: list[MeasuredSet] = []
        with disk_errors(scratch):
            for pictures, at_most, title in zip(opened, limits, titles, strict=False):
                step = advance(text(title), min(pictures.count, max(at_most)))
                folder = scratch / str(len(measured))
                measured.append(measure(pictures, size, at_most, extractor, folder, step))
            for measured_set in measured[:2]:
                _check_number(measured_set)
            return _scored(measured, medians, size, extractor, advance)


def _check_number(measured: MeasuredSet) -> None:
    """Raise `SimulacraError` for fewer usable pictures than have an interval."""
    if len(measured) < LEAST:
        rejects = (*measured.rejects, *measured.pictures.rejects)
        code = "measure.set_too_small_rejects" if rejects else "measure.set_too_small"
        values: dict[str, Any] = {"reason": f"{rejects[0].name}: {rejects[0]}"} if rejects else {}
        raise SimulacraError(code, name=measured.pictures.name, count=len(measured), least=LEAST, **values)


def _scored(
    measured: list[MeasuredSet], medians: list[Size], size: Size, extractor: Extractor, advance: Begin
) -> ScoredSets:
    fake, real = measured[:2]
    values, warnings = _scores(fake, real, extractor, advance)
    n, n_real = len(fake), len(real)
    unseen = measured[2] if len(measured) > 2 else None
    places = [subsample(len(pictures.rows), TRAINING) for pictures in measured]
    batches = [pictures.batches(chosen) for pictures, chosen in zip(measured, places, strict=True) if pictures.rows]
    copies, entries = copy_scores(batches[0], batches[1], batches[2] if len(batches) > 2 else None)
    for near in entries["nearest"]:
        near["fake"], near["train"] = int(places[0][near["fake"]]), int(places[1][near["train"]])
    record: Any = {"format": FORMAT} | {
        name: pictures.record(median)
        for name, pictures, median in zip(("fakes", "reals", "unseen"), measured, medians, strict=False)
    }
    if unseen is not None:
        values |= {name: as_score(score) for name, score in copies.items()}
        warnings += entries.get("warnings", [])
        record["memorisation"] = entries["memorisation"]
    leads = scores.score_name(scores.leading_metric(), extractor)
    if not values:
        names = {"fakes": fake.pictures.name, "reals": real.pictures.name}
        raise SimulacraError("measure.set_without_scores", **names, reason=warnings[0])
    record |= {"size": list(size), "resize": english(Message("measure.set_resize"))}
    record |= {"extractor": identity(extractor), "treatment": extractor.treatment, "versions": versions(extractor)}
    record |= {"n": n, "n_real": n_real, "leads": leads if leads in values else next(iter(values))}
    judge = scores.second_metric("draw")
    second = scores.score_name(judge, extractor) if judge else None
    record["second"] = second if second in values else None
    record["p"] = {
        scores.score_name(metric, extractor): p_of_one_source(
            metric.score, *(side.layers[scores.layer_of(metric, extractor)] for side in (real, fake))
        )
        for metric in (scores.leading_metric(), judge)
        if metric and metric.score and scores.score_name(metric, extractor) in values
    }
    record["warnings"] = [*_warnings(record, size), *warnings]
    record["nearest"] = [
        {key: value for key, value in near.items() if key != "train"}
        | {"fake": fake.title(near["fake"]), "real": real.title(near["train"])}
        for near in entries["nearest"]
    ]
    record["scores"] = {name: score.to_json() for name, score in values.items()}
    pairs = [(near["fake"], near["train"]) for near in entries["nearest"][:PAIRS]]
    return ScoredSets(
        record=record,
        pairs=list(zip(fake.tiles(a for a, _ in pairs), real.tiles(b for _, b in pairs), strict=True)),
        fakes=fake.tiles(subsample(len(fake.rows), SHEET)),
        reals=real.tiles(subsample(len(real.rows), SHEET)),
    )


def _scores(
    fake: MeasuredSet, real: MeasuredSet, extractor: Extractor, advance: Begin
) -> tuple[dict[str, Score], list[str]]:
    """Scores by name, and a warning for each that these pictures do not have."""
    metrics = feature_metrics("draw")
    step = advance(text("measure.progress_set_scores"), len(metrics))
    values: dict[str, Score] = {}
    warnings: list[str] = []
    for group in scores.groups(metrics):
        try:
            values |= _finite(_group_scores(fake, real, extractor, group), warnings)
        except SimulacraError as error:
            warnings.append(_missing([scores.score_name(metric, extractor) for metric in group], str(error)))
        step(len(group))
    if fake.untreated and real.untreated:
        try:
            grains = grain.grain_of_features(extractor.untreated, real.untreated, fake.untreated)
            values |= _finite(grains, warnings)
        except SimulacraError as error:
            warnings.append(_missing(["grain"], str(error)))
    return values, warnings


def _missing(names: Sequence[str], reason: str) -> str:
    return english(Message("measure.set_score_missing", names=names, reason=reason))


def _group_scores(
    fake: MeasuredSet, real: MeasuredSet, extractor: Extractor, metrics: Sequence[Metric]
) -> dict[str, Score]:
    floors = scores.floors_of(extractor, real.layers, metrics)
    measured = scores.score_features(extractor, real.layers, fake.layers, metrics, floors)
    return {name: score.score() for name, score in measured.items()}


def _finite(values: dict[str, Score], warnings: list[str]) -> dict[str, Score]:
    """The scores without those that are not numbers, which add a warning."""
    finite: dict[str, Score] = {}
    for name, score in values.items():
        if all(map(math.isfinite, (score.value, score.low, score.high, score.floor or 0.0))):
            finite[name] = score
        else:
            warnings.append(_missing([name], text("data.number_not_finite")))
    return finite


def _warnings(scored: dict[str, Any], size: Size) -> list[str]:
    """What a reader must know before the numbers."""
    fakes, reals = scored["fakes"], scored["reals"]
    warnings = []
    for record in (scored[name] for name in ("fakes", "reals", "unseen") if name in scored):
        if record["enlarged"]:
            values = {"count": record["enlarged"], "name": record["name"], "size": f"{size[1]}x{size[0]}"}
            warnings.append(Message("measure.warn_enlarged", **values))
        if record["set_aside"]:
            first = record["rejects"][0]
            values = {"count": record["set_aside"], "name": record["name"], "first": first["name"]}
            warnings.append(Message("measure.warn_set_aside", **values, reason=first["reason"]))
    least = min((fakes, reals), key=lambda record: record["pictures"])
    if least["pictures"] < FEW:
        warnings.append(Message("measure.warn_few_in_set", count=least["pictures"], name=least["name"]))
    elif least["pictures"] < ENOUGH:
        warnings.append(Message("measure.warn_bias", reals=reals["pictures"], fakes=fakes["pictures"], enough=ENOUGH))
    if fakes["hash"] == reals["hash"]:
        warnings.append(Message("measure.warn_same_pictures"))
    return [english(message) for message in warnings]
