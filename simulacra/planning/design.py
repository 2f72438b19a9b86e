"""The design of a plan: what all of its runs have in common, worked out before the first one starts, or read back."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch

from simulacra.console import Begin
from simulacra.data.dataset import Dataset
from simulacra.errors import SimulacraError
from simulacra.files import read_json
from simulacra.generator import as_generator
from simulacra.measure.extractors.features import Extractor
from simulacra.measure.model_under_test import fakes_of
from simulacra.measure.score_records import english
from simulacra.messages import Message, text
from simulacra.planning.records import FORMAT, Design
from simulacra.registry import find
from simulacra.settings import DEFAULTS
from simulacra.storage import load
from simulacra.training import auto
from simulacra.training.observers import Observer
from simulacra.training.options import TrainOptions
from simulacra.training.plan import AUTO
from simulacra.training.run import Run, execute
from simulacra.training.trainer import Trainer

MINUTES = 3.0  # of a run
SAVES = 8  # checkpoints of a run, evenly spaced
TRIAL_MINUTES = 0.1  # of the trial that measures the speed
TRIAL_PICTURES = 32  # pictures that are scored in it


def stored_design(folder: Path) -> Design | None:
    """The design of the plan in `folder`, or None where there is none."""
    path = folder / "plan.json"
    record = read_json(path) if path.is_file() else None
    return cast(Design, record["design"]) if isinstance(record, dict) and record.get("format") == FORMAT else None


def refuse_changes(folder: Path, stored: Design, digest: str, wanted: dict[str, Any]) -> None:
    """Raise `SimulacraError` where a plan is resumed with other data, or with other values than the `wanted` ones."""
    if stored["hash"] != digest:
        raise SimulacraError("planning.other_data", folder=folder, data=stored["data"])
    old = cast(dict[str, Any], stored)
    changes = [
        Message("plan.change", name=name, old=old[name], new=value)
        for name, value in wanted.items()
        if value is not None and value != old[name]
    ]
    if changes:
        raise SimulacraError("planning.other_plan", folder=folder, changes=changes)


def new_design(
    data: Dataset,
    *,
    gan: str | None,
    minutes: float | None,
    total: int | None,
    device: str,
    place: torch.device,
    extractor: Extractor,
    begin: Begin,
) -> Design:
    """Choose the GAN for all training pictures, measure the speeds in a short trial, and fix the length of a run.

    All runs are shown the same number of images, so that a busy machine makes none of them shorter.
    """
    source = data.source
    settings: dict[str, Any] = {}
    reasons: list[str] = []
    choice = auto.choose(data.split("train"), place)
    if gan in (None, AUTO, choice.spec):
        gan, settings, reasons = choice.spec, choice.settings, [english(reason) for reason in choice.reasons({})]
    elif find(gan).task != "draw":
        raise SimulacraError("planning.translates", gan=gan)
    with tempfile.TemporaryDirectory() as aside:
        advance = begin(text("planning.trial"), 2)
        speed = Speed()
        options = TrainOptions(
            gan=unchanged(gan, settings), run=Path(aside) / "run", minutes=TRIAL_MINUTES, device=device, quiet=True,  # type: ignore[arg-type]
        )  # fmt: skip
        run, ended = execute(source, options, settings, [speed])
        if not ended:
            raise KeyboardInterrupt
        advance(1)
        generator, begun = as_generator(load(run, place)), time.monotonic()
        fakes_of(generator, extractor, range(TRIAL_PICTURES), lambda n: None)
        scored = TRIAL_PICTURES / (time.monotonic() - begun)
    rate = speed.images_per_second()
    if total is None:
        minutes = minutes or MINUTES
    images = total or round(60 * (minutes or 0) * rate)
    unit = SAVES * speed.batch
    return {
        "data": source,
        "hash": data.hash,
        "gan": gan,
        "settings": {key: list(value) if isinstance(value, tuple) else value for key, value in settings.items()},
        "reasons": reasons,
        "minutes": minutes,
        "total": total,
        "images": max(1, -(-images // unit)) * unit,
        "images_per_second": round(rate, 2),
        "scored_per_second": round(scored, 2),
    }


def unchanged(gan: str, settings: Mapping[str, Any]) -> str:
    """The spec of a GAN with the `settings` of `auto`, to which `auto` adds none for a part of the pictures."""
    return f"{gan}:{DEFAULTS}" if settings else gan


class Speed(Observer):
    """Measures the images a second of a run, without its first half."""

    required = True

    def started(self, run: Run) -> None:
        """Note the batch."""
        self.batch: int = run.plan.config.batch
        self.marks: list[tuple[float, int]] = []

    def step(self, trainer: Trainer) -> None:
        """Note the time and the images shown."""
        self.marks.append((trainer.seconds, trainer.nimg))

    def images_per_second(self) -> float:
        """The speed between the middle and the last step."""
        (began, first), (ended, last) = self.marks[len(self.marks) // 2 - 1], self.marks[-1]
        return max(1, last - first) / max(1e-3, ended - began)
