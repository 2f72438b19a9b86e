"""Two models side by side: the same seeds, the same reals, each difference with its interval, and a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from simulacra.console import Begin, silent
from simulacra.measure.extractors.features import open_extractor
from simulacra.measure.intervals import Resampled
from simulacra.measure.model_under_test import ModelUnderTest, model_under_test
from simulacra.measure.score_records import Comparison, Difference, english
from simulacra.measure.scores import ResampledScore, interval_record, round_to
from simulacra.measure.side_by_side import write_side_by_side
from simulacra.measure.tasks import open_protocol
from simulacra.measure.verdict import LEVEL, contradictory, corrected, verdict
from simulacra.messages import Message, text

SAMPLES = 2000
SHOWN = 64  # pictures of each model in the picture
PICTURE = Path("compare.png")  # where both judges contradict each other


def compare(
    a: str | Path,
    b: str | Path,
    *,
    data: str | Path | None = None,
    on: str | None = None,
    samples: int = SAMPLES,
    out: str | Path | None = None,
    device: str | torch.device = "cpu",
    advance: Begin = silent,
) -> Comparison:
    """Score two models against the same reals; say whether one is better, and in which scores.

    a, b: models as for `evaluate`. data, on: the dataset and its part, as for `evaluate`; by default those of `a`.
    samples: fakes per model, and reals at most. Fakes are paired by seed and both models are resampled with the same
    reals, so the difference is known better than either score. Translators are given the same pictures.
    out: a picture of both models' pictures, side by side. Without it, `compare.png` in the current folder, and only
    where both judges contradict each other. Nothing there is overwritten: the name gets a number.

    The verdict needs both judges (see `verdict`). `better` of a score is "a" or "b" where its p-value, corrected for
    the number of scores, is at most 0.05. For scores whose best value is 1, better is nearer to it.

    Raises `SimulacraError` where the pictures are missing or of another shape than those of either model.
    """
    models = {"a": model_under_test(a), "b": model_under_test(b)}
    extractor = open_extractor(device=device)
    pictures = models["a"].dataset(data)
    models["b"].dataset(pictures.path or "peeps")  # raises where the shapes or tasks differ
    protocol = open_protocol(
        pictures,
        extractor=extractor,
        on=on,
        samples=samples,
        reals=samples,
        choosing=False,
        begin=advance,
        taught=any(model.taught_by(extractor) for model in models.values()),
    )
    loaded = {key: model.load(device) for key, model in models.items()}
    scores = {
        key: protocol.scores(model, advance(text("measure.progress_fakes_of", name=key), protocol.total))
        for key, model in loaded.items()
    }
    record: Any = {key: _about(model) for key, model in models.items()}
    record |= protocol.terms | {"data": pictures.name, "leads": protocol.leads}
    shared = {name: (score, scores["b"][name]) for name, score in scores["a"].items() if name in scores["b"]}
    second = record["second"] = protocol.second if protocol.second in shared else None
    record["scores"] = differences(shared, [name for name in (protocol.leads, second) if name])
    names = {key: model.name for key, model in models.items()}
    record["verdict"] = verdict(record["scores"], protocol.leads, second, names)
    record["warnings"] = _warnings(record["a"], record["b"])
    taught = [names[key] for key, model in models.items() if model.taught_by(extractor)]
    record["warnings"] += [english(Message("measure.warn_taught", model=name)) for name in taught]
    if out or contradictory(record["scores"], protocol.leads, second):
        titles = {f"{key}: {names[key]}": model for key, model in loaded.items()}
        about = {key: model.hash for key, model in models.items()} | protocol.source
        path = Path(out or PICTURE).expanduser()
        path = write_side_by_side(path / PICTURE if path.is_dir() else path, protocol.panels(titles, SHOWN), about)
        record["verdict"]["picture"] = str(path)
    comparison: Comparison = record
    return comparison


def differences(
    scores: Mapping[str, tuple[ResampledScore, ResampledScore]], judges: list[str]
) -> dict[str, Difference]:
    """The differences of two models' scores by name. judges: the names of those that decide."""
    signs = {name: _sign(*pair) for name, pair in scores.items()}
    p_values = corrected({name: sign.p_value() for name, sign in signs.items() if sign}, judges)
    return {
        name: {
            "a": interval_record(a.resampled),
            "b": interval_record(b.resampled),
            "difference": interval_record(a.resampled.minus(b.resampled)),
            "p": round_to(p_values.get(name)),
            "better": _better(signs[name], p_values.get(name, 1.0)),
        }
        for name, (a, b) in scores.items()
    }


def _better(sign: Resampled | None, p_value: float) -> str | None:
    if sign is None or p_value > LEVEL:
        return None
    return "a" if sign.value > 0 else "b"


def _sign(a: ResampledScore, b: ResampledScore) -> Resampled | None:
    """A difference that is positive where `a` is better; None where neither direction is better."""
    gap = a.resampled.minus(b.resampled)
    if a.better == "higher":
        return gap
    if a.better == "lower":
        return replace(gap, value=-gap.value, replicates=-gap.replicates)
    if a.better != "near 1":
        return None
    # How much farther b is from 1. Where both are about 1 that has a kink: the scores themselves must differ, too.
    farther = Resampled.of(
        abs(b.resampled.value - 1) - abs(a.resampled.value - 1),
        np.abs(b.resampled.replicates - 1) - np.abs(a.resampled.replicates - 1),
    )
    differs = gap if gap.value * farther.value > 0 else replace(gap, value=-gap.value, replicates=-gap.replicates)
    return max(farther, differs, key=Resampled.p_value)


def _about(model: ModelUnderTest) -> dict[str, Any]:
    trained_on = {"data": model.config.get("data"), "data_hash": model.config.get("data_hash")}
    return {"name": model.name, "hash": model.hash} | trained_on


def _warnings(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """What a reader must know before the numbers."""
    if not (a["data_hash"] and b["data_hash"]) or a["data_hash"] == b["data_hash"]:
        return []
    values = {key: f"{model['data']} ({model['data_hash'][:8]})" for key, model in (("a", a), ("b", b))}
    return [english(Message("measure.warn_trained_apart", **values))]
