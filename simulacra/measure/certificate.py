"""The certificate of a model: its scores and everything that decided them, as JSON."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import simulacra
from simulacra.errors import SimulacraError
from simulacra.files import disk_errors, read_json, write_json
from simulacra.measure.context import EvaluationContext
from simulacra.measure.extractors.features import Extractor
from simulacra.measure.metrics import Metric, metrics
from simulacra.measure.model_under_test import ModelUnderTest, identity
from simulacra.measure.score_records import Certificate, english
from simulacra.measure.scores import ENOUGH
from simulacra.messages import Message

FORMAT = "simulacra-certificate-1"
FEW = 50  # real pictures below which every score is little more than a guess


def certificate(model: ModelUnderTest, context: EvaluationContext, chosen: Sequence[Metric] = ()) -> Certificate:
    """Compute the scores of the `chosen` metrics, by default all that model and data allow, and record their terms."""
    chosen = chosen or [metric for metric in metrics(model.task) if metric.possible(context)]
    scores, entries = context.scores(chosen)
    about = {"hash": model.hash, "gan": model.config["gan"], "nimg": model.config.get("nimg")}
    about |= {"folder": model.folder.name, "run": model.run.name if model.run else None}
    entries["warnings"] = [*_warnings(model, entries), *entries["warnings"]]
    record: Any = {"format": FORMAT, "task": model.task, "model": about}
    record |= {"extractor": identity(context.extractor), "versions": versions(context.extractor)} | entries
    record["scores"] = {name: score.to_json() for name, score in scores.items()}
    whole: Certificate = record
    return whole


def _warnings(model: ModelUnderTest, entries: dict[str, Any]) -> list[str]:
    """What a reader must know before the numbers."""
    data, n, n_real = entries["data"], entries["n"], entries["data"]["pictures"]
    warnings = []
    if model.config.get("data_hash") not in (None, "", data["hash"]):
        warnings.append(Message("measure.warn_other_data", data=data["name"]))
    if n_real < FEW:
        warnings.append(Message("measure.warn_few", number=n_real))
    elif min(n_real, n) < ENOUGH:
        warnings.append(Message("measure.warn_bias", reals=n_real, fakes=n, enough=ENOUGH))
    return [english(message) for message in warnings]


def check_path(path: Path) -> None:
    """Create the folder for a certificate. Raises `SimulacraError` where another file is in the way."""
    old = read_json(path) if path.is_file() else None
    if path.exists() and (not isinstance(old, dict) or old.get("format") != FORMAT):
        raise SimulacraError("measure.not_a_certificate", path=path)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)


def write_certificate(path: Path, record: Certificate) -> None:
    """Write a certificate; one of another model at `path` is renamed after its hash."""
    if path.is_file():
        old = read_json(path)
        if old["model"]["hash"] != record["model"]["hash"]:
            path.rename(path.with_name(f"{path.stem}-{old['model']['hash']}{path.suffix}"))
    write_json(path, record)


def versions(extractor: Extractor) -> dict[str, str]:
    """Versions of everything that decides a score, as JSON."""
    numbers = {"simulacra": simulacra.__version__, "python": platform.python_version(), "torch": torch.__version__}
    if extractor.backend == "onnxruntime":
        numbers["onnxruntime"] = importlib.metadata.version("onnxruntime")
    return numbers | {"numpy": np.__version__}
