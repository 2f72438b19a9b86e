"""Scores that need more than two sets of features: copies of training pictures, smoothness, recognisable classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from simulacra.errors import SimulacraError
from simulacra.measure.context import TRAINING, Evidence
from simulacra.measure.distances import spread
from simulacra.measure.intervals import resampled_mean
from simulacra.measure.linear_classifier import inception_score, resampled_inception_score
from simulacra.measure.memorisation import memorisation as look_for_copies
from simulacra.measure.memorisation import thumbnails
from simulacra.measure.model_under_test import subsample
from simulacra.measure.path_length import path_lengths, trimmed
from simulacra.measure.scores import Score, round_to

PAIRS = 500  # of latents, for the path length

Found = tuple[dict[str, Score], dict[str, Any]]  # scores by name, and what else goes into the certificate


def memorisation(evidence: Evidence) -> Found:
    """Whether fakes are copies of training pictures; see `measure.memorisation`."""
    data, n = evidence.data, len(evidence.seeds)
    train = data.split("train")
    chosen = subsample(len(train), TRAINING)
    known = thumbnails(evidence.pictures("train", chosen))
    if evidence.subject.about["config"].get("mirror"):
        known = np.concatenate([known, thumbnails(p.flip(3) for p in evidence.pictures("train", chosen))])
    unseen = [part for part in ("valid", "test") if data.splits.get(part)]
    held_out = np.concatenate([thumbnails(evidence.pictures(part)) for part in unseen]) if unseen else None
    found = look_for_copies(thumbnails(evidence.drawn("Copies")), known, held_out)
    nearest = [
        {"seed": evidence.seeds[near.fake], "train": int(chosen[near.train % len(chosen)])}
        | {key: round_to(getattr(near, key)) for key in ("distance", "nearness", "quantile")}
        for near in found.nearest
    ]
    told = {"verdict": found.verdict, "sentence": found.sentence, "p": found.p, "z": found.z}
    told |= {"detectable": found.detectable, "training_pictures": len(chosen)}
    extra: dict[str, Any] = {"memorisation": {k: round_to(v) for k, v in told.items()}, "nearest": nearest}
    if found.verdict != "no sign":
        extra["warnings"] = [found.sentence]
    if found.near is None:
        return {}, extra
    score = Score(
        value=found.near.value,
        low=found.near.low,
        high=found.near.high,
        n=n,
        n_real=len(chosen),
        better="",
        what="share of fakes as near to a training picture, as thumbnails, as the nearest held-out pictures are",
        floor=found.expected,
        n_floor=len(held_out) if held_out is not None else None,
    )
    return {"memorisation-thumbnails-16": score}, extra


def path(evidence: Evidence) -> Found:
    """How far a short step between two latents carries the picture, in the reals' own spread; see `measure.path`."""
    eyes, pairs = evidence.extractor, min(PAIRS, len(evidence.seeds))
    layer = eyes.kid_layer

    def features(pictures: torch.Tensor) -> torch.Tensor:
        return eyes(pictures, rounded=False)[layer]

    lengths = path_lengths(
        evidence.generator, features, pairs=pairs, seed=evidence.seeds[0], advance=evidence.begin("Path", pairs)
    )
    unit = spread(evidence.reals[layer])
    if not unit:
        raise SimulacraError("All reals have the same features: path length has no unit. Leave it out of --metrics.")
    made = resampled_mean(trimmed(lengths) / unit).interval()
    score = Score(
        value=made.value,
        low=made.low,
        high=made.high,
        n=pairs,
        n_real=len(evidence.reals[layer]),
        better="lower",
        what="perceptual path length, over the mean squared distance between reals: how smooth the way between two is",
    )
    return {f"path-{eyes.name}-{layer}": score}, {}


def classes(evidence: Evidence) -> Found:
    """How sure and how even a reader of the data's classes is on the fakes: an Inception-style score."""
    data, eyes = evidence.data, evidence.extractor
    if not data.classes:
        raise SimulacraError(f"{data.name} has no classes to recognise: leave classes out of --metrics.")
    reader = evidence.reader
    made = resampled_inception_score(reader(evidence.fakes[eyes.kid_layer])).interval()
    score = Score(
        value=made.value,
        low=made.low,
        high=made.high,
        n=len(evidence.seeds),
        n_real=len(evidence.labelled[1]),
        better="higher",
        what=f"exp KL of the classes read from fakes, up to {len(data.classes)}; the reader is right on "
        f"{reader.accuracy.value:.1%} of {reader.held_out} reals it had not seen",
        floor=inception_score(reader(evidence.reals[eyes.kid_layer])),
        n_floor=len(evidence.reals[eyes.kid_layer]),
    )
    return {f"classes-{eyes.name}-{eyes.kid_layer}": score}, {}
