"""How good and how diverse a model's pictures are: every score, and a certificate of how it was had."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

import simulacra
from simulacra.data.dataset import Dataset, verify
from simulacra.errors import SimulacraError, did_you_mean
from simulacra.files import read_json, write_json
from simulacra.game import Generator
from simulacra.measure import scores
from simulacra.measure.features import Extractor, Features, open_extractor
from simulacra.measure.scores import Score
from simulacra.measure.subject import CHOSEN, Advance, Subject, fakes_of, identity, reals_of, some, subject

FORMAT = "simulacra-certificate-1"
SAMPLES = 5000
TRAINING = 20_000  # training pictures at most among which copies are looked for
FEW = 50  # pictures of the data below which every score is little more than a guess
KINDS = {
    "fd": frozenset(["fd"]),
    "kid": frozenset(["kid"]),
    "prdc": frozenset(["precision", "recall", "density", "coverage"]),
    "diversity": frozenset(["diversity"]),
}
METRICS = (*KINDS, "memorisation", "path", "classes")

Begin = Callable[[str, int], Advance]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the scores are computed from; each part is made when it is first asked for."""

    subject: Subject
    generator: Generator
    extractor: Extractor
    data: Dataset
    on: str
    seeds: range
    begin: Begin

    @cached_property
    def fakes(self) -> Features:
        """Features of the model's pictures."""
        return fakes_of(self.generator, self.extractor, self.seeds, self.begin("Fakes", len(self.seeds)))

    @cached_property
    def reals(self) -> Features:
        """Features of the pictures compared with."""
        return self.part(self.on, len(self.seeds))

    def part(self, name: str, at_most: int) -> Features:
        """Features of a part of the data set."""
        part = self.data.split(name)
        return reals_of(part, self.extractor, at_most, self.begin(f"Reals, {name}", min(len(part), at_most)))

    @cached_property
    def held_out(self) -> Features | None:
        """Features of the pictures that were not trained on, or None where the data set has none."""
        parts = [self.part(name, TRAINING) for name in ("valid", "test") if self.data.splits.get(name)]
        if not parts:
            return None
        return {layer: np.concatenate([part[layer] for part in parts]) for layer in parts[0]}


def evaluate(
    where: str | Path | None = None,
    *,
    data: str | Path | None = None,
    on: str = "train",
    samples: int = SAMPLES,
    metrics: Sequence[str] = METRICS,
    first_seed: int = CHOSEN,
    extractor: str | Extractor = "efl0",
    weights: Path | None = None,
    sha256: str | None = None,
    out: Path | None = None,
    device: str | torch.device = "cpu",
    advance: Begin = lambda what, total: lambda n: None,
) -> tuple[dict[str, Any], Path | None]:
    """Score a model's pictures against real ones; returns the certificate and where it was written.

    where: a run (its best checkpoint), a checkpoint, a model folder, or the model that comes along.
    data, on: the data set and its part to compare with; what the model was trained on if not given.
    samples: fakes, and at most so many reals. metrics: of `METRICS`. first_seed: the fakes are those of the seeds
    from here on; a run's best checkpoint is chosen by other seeds. extractor, weights, sha256: see `open_extractor`.
    out: the certificate's file; `certificate.json` in the run if not given.

    Raises `SimulacraError` for an unknown metric, too few pictures, or a data set that is gone or does not fit.
    """
    for word in metrics:
        if word not in METRICS:
            hint = did_you_mean(word, METRICS) or f" There are: {', '.join(METRICS)}."
            raise SimulacraError(f"There is no metric called {word!r}.{hint}")
    if samples < 2 or not 0 <= first_seed < 2**62:
        raise SimulacraError(f"--samples is {samples} and the first seed {first_seed}; at least 2, and from 0 up.")
    chosen = subject(where)
    pictures = chosen.data(data)
    verify(pictures)
    if len(pictures.split(on)) < 2:
        raise SimulacraError(f"The part {on} of {pictures.name} has 1 picture; scores need at least 2.")
    eyes = extractor
    if isinstance(eyes, str):
        eyes = open_extractor(eyes, device=device, weights=weights, sha256=sha256)
    seeds = range(first_seed, first_seed + samples)
    evidence = Evidence(
        subject=chosen,
        generator=chosen.load(device),
        extractor=eyes,
        data=pictures,
        on=on,
        seeds=seeds,
        begin=advance,
    )
    told = certificate(evidence, metrics)
    path = out or (chosen.run / "certificate.json" if chosen.run else None)
    if path is not None:
        _put_by(path, told)
        write_json(path, told)
    return told, path


def certificate(evidence: Evidence, metrics: Sequence[str]) -> dict[str, Any]:
    """The scores, and all that decided them."""
    kinds = frozenset[str]().union(*(KINDS[word] for word in metrics if word in KINDS))
    made: dict[str, Score] = {}
    told: dict[str, Any] = {}
    if kinds:
        floors = scores.floors_of(evidence.extractor, evidence.reals, kinds)
        made |= scores.scored(evidence.extractor, evidence.reals, evidence.fakes, kinds, floors)
    for word in metrics:
        if word in MORE:
            found, extra = MORE[word](evidence)
            made, told = made | found, told | extra
    subject, data, eyes = evidence.subject, evidence.data, evidence.extractor
    n_real = len(some(len(data.split(evidence.on)), len(evidence.seeds)))
    place = {"folder": subject.folder.name, "run": subject.run.name if subject.run else None}
    model = {"hash": subject.hash, "gan": subject.about["gan"], "nimg": subject.about.get("nimg")} | place
    size = list(data.shape)
    return {
        "format": FORMAT,
        "model": model,
        "data": {"name": data.name, "hash": data.hash, "on": evidence.on, "pictures": n_real, "size": size},
        "extractor": identity(eyes),
        "n": len(evidence.seeds),
        "seeds": f"{evidence.seeds[0]}-{evidence.seeds[-1]}",
        "versions": _versions(eyes),
        "leads": scores.leading(eyes, len(evidence.seeds), n_real),
        "scores": {name: score.told() for name, score in made.items()},
        "warnings": [*_warnings(evidence, n_real), *told.pop("warnings", [])],
    } | told


def _warnings(evidence: Evidence, n_real: int) -> list[str]:
    """What a reader must know before the numbers."""
    found = []
    trained_on = evidence.subject.about.get("data_hash")
    if trained_on and trained_on != evidence.data.hash:
        found.append(
            f"The model was trained on another data set than {evidence.data.name}: its scores here are of both."
        )
    if n_real < FEW:
        found.append(f"There are only {n_real} real pictures to compare with: every score is little more than a guess.")
    elif min(n_real, len(evidence.seeds)) < scores.ENOUGH:
        found.append(
            f"There are {n_real} reals and {len(evidence.seeds)} fakes; below {scores.ENOUGH} of each the Fréchet distance is "
            "mostly bias, so KID leads."
        )
    return found


def _put_by(path: Path, told: dict[str, Any]) -> None:
    """Another model's certificate that stands at `path` is kept under a name of its own."""
    if path.is_file():
        old = read_json(path)
        if not isinstance(old, dict) or old.get("format") != FORMAT:
            raise SimulacraError(f"{path} exists and is no certificate: choose another --out.")
        if old["model"]["hash"] != told["model"]["hash"]:
            path.rename(path.with_name(f"{path.stem}-{old['model']['hash']}{path.suffix}"))


def _versions(extractor: Extractor) -> dict[str, str]:
    found = {"simulacra": simulacra.__version__, "python": platform.python_version(), "torch": torch.__version__}
    if extractor.backend == "onnxruntime":
        found["onnxruntime"] = importlib.metadata.version("onnxruntime")
    return found | {"numpy": np.__version__}


MORE: dict[str, Callable[[Evidence], tuple[dict[str, Score], dict[str, Any]]]] = {}
