"""Two models side by side: the same seeds, the same reals, and each difference with its interval."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from simulacra.errors import SimulacraError
from simulacra.measure import scores
from simulacra.measure.choose import told_interval
from simulacra.measure.features import open_extractor
from simulacra.measure.subject import CHOSEN, Advance, fakes_of, identity, reals_of, subject

SAMPLES = 2000


def compare(
    a: str | Path,
    b: str | Path,
    *,
    data: str | Path | None = None,
    on: str = "train",
    samples: int = SAMPLES,
    device: str | torch.device = "cpu",
    advance: Callable[[str, int], Advance] = lambda what, total: lambda n: None,
) -> dict[str, Any]:
    """Score two models against the same reals and say, for each score, whether one is better.

    Fakes are paired by seed and both models resampled with the same reals, so the difference is known better than
    either score. "better" names "a" or "b" only where the difference's 95 % interval leaves out zero.
    Raises `SimulacraError` where the pictures are gone or of another size than either model's.
    """
    if samples < 2:
        raise SimulacraError(f"--samples is {samples}; scores need at least 2.")
    pair = {"a": subject(a), "b": subject(b)}
    extractor = open_extractor(device=device)
    pictures = pair["a"].data(data)
    pair["b"].data(pictures.path or "peeps")  # of one size, or an error
    part = pictures.split(on)
    reals = reals_of(part, extractor, samples, advance(f"Reals, {on}", min(len(part), samples)))
    seeds = range(CHOSEN, CHOSEN + samples)
    made = {
        key: scores.resampled(extractor, reals, fakes_of(who.load(device), extractor, seeds, advance(f"Fakes, {key}", samples)))
        for key, who in pair.items()
    }  # fmt: skip
    n_real = len(reals[extractor.fd_layer])
    told: dict[str, Any] = {key: {"name": who.name, "hash": who.hash} for key, who in pair.items()}
    told |= {"data": pictures.name, "on": on, "n": samples, "n_real": n_real, "extractor": identity(extractor)}
    told |= {"seeds": f"{seeds[0]}-{seeds[-1]}", "leads": scores.leading(extractor, samples, n_real), "scores": {}}
    for name, score in made["a"].items():
        gap, higher = score.minus(made["b"][name]).interval(), scores.KINDS[name.partition("-")[0]][0] == "higher"
        better = None if gap.low <= 0 <= gap.high else ("a" if (gap.value > 0) == higher else "b")
        line = {"a": told_interval(score), "b": told_interval(made["b"][name])}
        told["scores"][name] = line | {
            "difference": {k: scores.round_to(v) for k, v in vars(gap).items()},
            "better": better,
        }
    return told
