"""How good and how diverse a model's pictures are: every score, and a certificate of how it was had."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import simulacra
from simulacra.data.dataset import verify
from simulacra.errors import SimulacraError, did_you_mean
from simulacra.files import disk_errors, read_json, write_json
from simulacra.generator import as_generator
from simulacra.measure import attribute_accuracy, other_metrics, scores
from simulacra.measure.context import Begin, Evidence
from simulacra.measure.extractors.features import Extractor, open_extractor
from simulacra.measure.model_under_test import CHOSEN, identity, model_under_test, subsample
from simulacra.measure.per_class import possible, within
from simulacra.measure.scores import Score
from simulacra.measure.translation import evaluation as translation
from simulacra.translator import as_translator

FORMAT = "simulacra-certificate-1"
SAMPLES = 5000
FEW = 50  # pictures of the data below which every score is little more than a guess
KINDS = {
    "fd": frozenset(["fd"]),
    "kid": frozenset(["kid"]),
    "prdc": frozenset(["precision", "recall", "density", "coverage"]),
    "diversity": frozenset(["diversity"]),
}
MORE: dict[str, Callable[[Evidence], other_metrics.Found]] = {
    "memorisation": other_metrics.memorisation,
    "path": other_metrics.path,
    "classes": other_metrics.classes,
    "within": within,
    "attributes": attribute_accuracy.attributes,
}
METRICS = (*KINDS, *MORE)


def evaluate(
    where: str | Path | None = None,
    *,
    data: str | Path | None = None,
    on: str | None = None,
    samples: int = SAMPLES,
    metrics: Sequence[str] | None = None,
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
    data, on: the data set and its part to compare with; what the model was trained on if not given. A model that
    translates is given pictures that it was not trained on, if there are any; with `on` those of that part.
    samples: fakes, and at most so many reals. metrics: of `METRICS`, or of a translator's
    (see `measure.translation.evaluation`); all that the data allows if not given. first_seed: the fakes are those of the seeds
    from here on; a run's best checkpoint is chosen by other seeds. extractor, weights, sha256: see `open_extractor`.
    out: the certificate's file; `certificate.json` in the run if not given.

    Raises `SimulacraError` for an unknown metric, too few pictures, or a data set that is gone or does not fit.
    """
    if samples < 2 or not 0 <= first_seed < 2**62:
        raise SimulacraError(f"--samples is {samples} and the first seed {first_seed}; at least 2, and from 0 up.")
    chosen = model_under_test(where)
    _check(metrics or (), translation.METRICS if chosen.translates else METRICS)
    path = out or (chosen.run / "certificate.json" if chosen.run else None)
    if path is not None:
        _clear(path)
    pictures = chosen.dataset(data)
    verify(pictures)
    eyes = extractor
    if isinstance(eyes, str):
        eyes = open_extractor(eyes, device=device, weights=weights, sha256=sha256)
    same: dict[str, Any] = {"subject": chosen, "extractor": eyes, "data": pictures, "begin": advance}
    evidence: Evidence | translation.Evidence
    if chosen.translates:
        evidence = translation.Evidence(generator=as_translator(chosen.load(device)), on=on, samples=samples, **same)
    else:
        on = on or "train"
        if len(pictures.split(on)) < 2:
            raise SimulacraError(f"The part {on} of {pictures.name} has 1 picture; scores need at least 2.")
        seeds = range(first_seed, first_seed + samples)
        evidence = Evidence(generator=as_generator(chosen.load(device)), on=on, seeds=seeds, **same)
    told = certificate(evidence, metrics or _possible(evidence))
    if path is not None:
        _put_by(path, told)
        write_json(path, told)
    return told, path


def _check(metrics: Sequence[str], known: Sequence[str]) -> None:
    for word in metrics:
        if word not in known:
            hint = did_you_mean(word, known) or f" There are: {', '.join(known)}."
            raise SimulacraError(f"There is no metric called {word!r} for this model.{hint}")


def _possible(evidence: Evidence | translation.Evidence) -> list[str]:
    """The metrics that model and data allow."""
    if isinstance(evidence, translation.Evidence):
        return evidence.possible()
    lacking = {"classes": not evidence.data.classes, "within": not possible(evidence)}
    lacking |= {"attributes": not attribute_accuracy.possible(evidence)}
    return [word for word in METRICS if not lacking.get(word)]


def certificate(evidence: Evidence | translation.Evidence, metrics: Sequence[str]) -> dict[str, Any]:
    """The scores, and all that decided them."""
    made, told = evidence.found(metrics) if isinstance(evidence, translation.Evidence) else _found(evidence, metrics)
    subject, eyes = evidence.subject, evidence.extractor
    place = {"folder": subject.folder.name, "run": subject.run.name if subject.run else None}
    model = {"hash": subject.hash, "gan": subject.about["gan"], "nimg": subject.about.get("nimg")} | place
    told["warnings"] = [*_warnings(evidence, told["n"], told["data"]["pictures"]), *told["warnings"]]
    told = {"extractor": identity(eyes), "versions": _versions(eyes)} | told
    return {"format": FORMAT, "model": model, **told, "scores": {name: score.told() for name, score in made.items()}}


def _found(evidence: Evidence, metrics: Sequence[str]) -> tuple[dict[str, Score], dict[str, Any]]:
    """The scores of a model that draws from seeds, and all else that is told."""
    data, eyes, seeds = evidence.data, evidence.extractor, evidence.seeds
    kinds = frozenset[str]().union(*(KINDS[word] for word in metrics if word in KINDS))
    made: dict[str, Score] = {}
    more, warnings = dict[str, Any](), list[str]()
    if kinds:
        floors = scores.floors_of(eyes, evidence.reals, kinds)
        made |= scores.scored(eyes, evidence.reals, evidence.fakes, kinds, floors)
    for word in metrics:
        if word in MORE:
            found, extra = MORE[word](evidence)
            warnings += extra.pop("warnings", [])
            made, more = made | found, more | extra
    n_real = len(subsample(len(data.split(evidence.on)), len(seeds)))
    told: dict[str, Any] = {"name": data.name, "hash": data.hash, "on": evidence.on, "pictures": n_real}
    told = {"data": told | {"size": list(data.shape)}, "n": len(seeds), "seeds": f"{seeds[0]}-{seeds[-1]}"}
    return made, told | {"leads": scores.leading(eyes, len(seeds), n_real), "warnings": warnings} | more


def _warnings(evidence: Evidence | translation.Evidence, n: int, n_real: int) -> list[str]:
    """What a reader must know before the numbers."""
    found = []
    trained_on = evidence.subject.about.get("data_hash")
    if trained_on and trained_on != evidence.data.hash:
        found.append(
            f"The model was trained on another data set than {evidence.data.name}: its scores here are of both."
        )
    if n_real < FEW:
        found.append(f"There are only {n_real} real pictures to compare with: every score is little more than a guess.")
    elif min(n_real, n) < scores.ENOUGH:
        found.append(
            f"There are {n_real} reals and {n} fakes; below {scores.ENOUGH} of each the Fréchet distance is "
            "mostly bias, so KID leads."
        )
    return found


def _clear(path: Path) -> None:
    """Raise `SimulacraError`, before the work is done, where a certificate cannot be written."""
    old = read_json(path) if path.is_file() else None
    if path.exists() and (not isinstance(old, dict) or old.get("format") != FORMAT):
        raise SimulacraError(f"{path} exists and is no certificate: choose another --out.")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)


def _put_by(path: Path, told: dict[str, Any]) -> None:
    """Another model's certificate that stands at `path` is kept under a name of its own."""
    if path.is_file():
        old = read_json(path)
        if old["model"]["hash"] != told["model"]["hash"]:
            path.rename(path.with_name(f"{path.stem}-{old['model']['hash']}{path.suffix}"))


def _versions(extractor: Extractor) -> dict[str, str]:
    found = {"simulacra": simulacra.__version__, "python": platform.python_version(), "torch": torch.__version__}
    if extractor.backend == "onnxruntime":
        found["onnxruntime"] = importlib.metadata.version("onnxruntime")
    return found | {"numpy": np.__version__}
