"""Two models side by side: the same seeds, the same reals, and each difference with its interval."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from simulacra.console import Begin, silent
from simulacra.measure.extractors.features import open_extractor
from simulacra.measure.model_under_test import model_under_test
from simulacra.measure.score_records import Comparison, Difference
from simulacra.measure.scores import ResampledScore, interval_record
from simulacra.measure.tasks import open_protocol
from simulacra.messages import text

SAMPLES = 2000


def compare(
    a: str | Path,
    b: str | Path,
    *,
    data: str | Path | None = None,
    on: str | None = None,
    samples: int = SAMPLES,
    device: str | torch.device = "cpu",
    advance: Begin = silent,
) -> Comparison:
    """Score two models against the same reals; for each score, say whether one is better.

    a, b: models as for `evaluate`. data, on: the dataset and its part, as for `evaluate`; by default those of `a`.
    samples: fakes per model, and reals at most. Fakes are paired by seed and both models are resampled with the same
    reals, so the difference is known better than either score. Translators are given the same pictures. `better` is
    "a" or "b" only where the 95 % interval of the difference leaves out zero.

    Raises `SimulacraError` where the pictures are missing or of another shape than those of either model.
    """
    models = {"a": model_under_test(a), "b": model_under_test(b)}
    extractor = open_extractor(device=device)
    pictures = models["a"].dataset(data)
    models["b"].dataset(pictures.path or "peeps")  # raises where the shapes or tasks differ
    protocol = open_protocol(
        pictures, extractor=extractor, on=on, samples=samples, reals=samples, choosing=False, begin=advance
    )
    scores = {
        key: protocol.scores(model.load(device), advance(text("measure.progress_fakes_of", name=key), protocol.total))
        for key, model in models.items()
    }
    record: Any = {key: {"name": model.name, "hash": model.hash} for key, model in models.items()}
    record |= protocol.terms | {"data": pictures.name, "leads": protocol.leads}
    shared = [name for name in scores["a"] if name in scores["b"]]
    record["scores"] = {name: _difference(scores["a"][name], scores["b"][name]) for name in shared}
    comparison: Comparison = record
    return comparison


def _difference(a: ResampledScore, b: ResampledScore) -> Difference:
    difference = a.resampled.minus(b.resampled)
    gap, higher = difference.interval(), a.better == "higher"
    return {
        "a": interval_record(a.resampled),
        "b": interval_record(b.resampled),
        "difference": interval_record(difference),
        "better": None if gap.low <= 0 <= gap.high else ("a" if (gap.value > 0) == higher else "b"),
    }
