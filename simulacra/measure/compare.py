"""Two models side by side: the same seeds, the same reals, and each difference with its interval."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from simulacra.errors import SimulacraError
from simulacra.measure import scores
from simulacra.measure.choose import told_interval
from simulacra.measure.extractors.features import open_extractor
from simulacra.measure.model_under_test import Advance, model_under_test
from simulacra.measure.protocol import open_bench

SAMPLES = 2000


def compare(
    a: str | Path,
    b: str | Path,
    *,
    data: str | Path | None = None,
    on: str | None = None,
    samples: int = SAMPLES,
    device: str | torch.device = "cpu",
    advance: Callable[[str, int], Advance] = lambda what, total: lambda n: None,
) -> dict[str, Any]:
    """Score two models against the same reals and say, for each score, whether one is better.

    Fakes are paired by seed and both models resampled with the same reals, so the difference is known better than
    either score. Translators are given the same pictures, unseen ones if there are any (see `measure.translation`). "better" names "a" or "b" only where the difference's 95 % interval leaves out zero.
    Raises `SimulacraError` where the pictures are gone or of another size than either model's.
    """
    if samples < 2:
        raise SimulacraError(f"--samples is {samples}; scores need at least 2.")
    pair = {"a": model_under_test(a), "b": model_under_test(b)}
    extractor = open_extractor(device=device)
    pictures = pair["a"].dataset(data)
    pair["b"].dataset(pictures.path or "peeps")  # of one size, or an error
    bench = open_bench(
        pictures, extractor=extractor, on=on, samples=samples, reals=samples, choosing=False, begin=advance
    )
    made = {key: bench.measured(who.load(device), advance(f"Fakes, {key}", bench.total)) for key, who in pair.items()}
    told: dict[str, Any] = {key: {"name": who.name, "hash": who.hash} for key, who in pair.items()}
    told |= bench.terms | {"data": pictures.name, "leads": bench.leads, "scores": {}}
    for name in (name for name in made["a"] if name in made["b"]):
        one, other = made["a"][name], made["b"][name]
        gap, higher = one.made.minus(other.made).interval(), one.better == "higher"
        better = None if gap.low <= 0 <= gap.high else ("a" if (gap.value > 0) == higher else "b")
        line = {"a": told_interval(one.made), "b": told_interval(other.made)}
        told["scores"][name] = line | {
            "difference": {k: scores.round_to(v) for k, v in vars(gap).items()},
            "better": better,
        }
    return told
