"""`Experiment`: toy data with countable modes, on which the real trainer trains a real GAN."""

from __future__ import annotations

import dataclasses
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from simulacra import messages
from simulacra.data.feed import Feed
from simulacra.errors import SimulacraError
from simulacra.files import JsonObject
from simulacra.gan import GAN, Batch, Settings, Shape
from simulacra.registry import configured, find, split_spec
from simulacra.training.journal import Meter
from simulacra.training.trainer import Trainer


@dataclass(frozen=True, kw_only=True)
class ExperimentLength:
    """The end of an experiment: after `steps` of both players or `minutes` of training, whichever comes first."""

    steps: int | None
    minutes: float | None

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps < 1:
            raise SimulacraError("lab.too_few_steps", steps=self.steps)
        if self.minutes is not None and not 0 < self.minutes < float("inf"):
            raise SimulacraError("lab.bad_minutes", minutes=self.minutes)

    def share(self, steps: int, seconds: float) -> float:
        """How much is done, 0 to 1."""
        by_steps = steps / self.steps if self.steps else 0.0
        return min(1.0, max(by_steps, seconds / (60 * self.minutes) if self.minutes else 0.0))


class Experiment(ABC):
    """Toy data, how fakes are scored on it, and which pictures show the run."""

    shape: ClassVar[Shape]
    fast_settings: Mapping[str, Any]  # to learn in minutes; used where a GAN has them
    length: ExperimentLength  # by default
    evaluations: int  # over the whole run

    @abstractmethod
    def draw(self, n: int, rng: np.random.Generator) -> Tensor:
        """`n` reals [n, C, H, W]."""

    @abstractmethod
    def score_reals(self) -> JsonObject:
        """The scores of reals, which no GAN can beat."""

    @abstractmethod
    def evaluate(self, trainer: Trainer) -> JsonObject:
        """The scores at this step; what the pictures need is remembered."""

    @abstractmethod
    def format_scores(self, scores: Mapping[str, Any]) -> str:
        """Scores as one line."""

    @abstractmethod
    def format_line(self, line: JsonObject) -> str:
        """An evaluation as one line."""

    @abstractmethod
    def finish(
        self, folder: Path, title: str, lines: list[JsonObject], trainer: Trainer
    ) -> tuple[JsonObject, list[Path]]:
        """Write the pictures; returns scores that are computed only at the end, and the files."""


class EndlessFeed(Feed):
    """Fresh reals of an experiment for every step: a function of (seed, images shown)."""

    def __init__(self, draw: Callable[[int, np.random.Generator], Tensor], *, seed: int) -> None:
        self.draw, self.seed, self.device = draw, seed, torch.device("cpu")

    def batch(self, start: int, count: int) -> Batch:
        """`count` reals [count, C, H, W]."""
        return Batch(self.draw(count, np.random.default_rng((self.seed, start))))


def configure(experiment: Experiment, spec: str, settings: Mapping[str, Any]) -> tuple[type[GAN], Settings]:
    """The GAN of `spec` and its settings. `settings` override the preset's, and those the experiment's fast settings."""
    gan, (_, preset) = find(spec), split_spec(spec)
    fields = {field.name for field in dataclasses.fields(gan.Config)}
    preset_settings = set(gan.presets[preset].settings) if preset in gan.presets else set()
    fast = {key: value for key, value in experiment.fast_settings.items() if key in fields - preset_settings}
    return configured(spec, experiment.shape, settings, defaults=fast)


def build_trainer(
    experiment: Experiment, spec: str, settings: Mapping[str, Any], *, folder: Path, seed: int
) -> Trainer:
    """A trainer of the GAN `spec` with the settings of `configure`."""
    if not 0 <= seed < 1 << 63:
        raise SimulacraError("lab.bad_seed", seed=seed)
    gan, config = configure(experiment, spec, settings)
    torch.manual_seed(seed)
    model = gan(config)
    if model.task != "draw":
        raise SimulacraError("lab.translator", name=gan.name)
    return Trainer(model, EndlessFeed(experiment.draw, seed=seed), folder, seed=seed)


def run_steps(
    experiment: Experiment,
    trainer: Trainer,
    length: ExperimentLength,
    *,
    on_line: Callable[[JsonObject, float], None],
    stop: Callable[[], bool],
) -> tuple[list[JsonObject], bool, SimulacraError | None]:
    """Train and evaluate to the end; returns the evaluations, whether the end was reached, and an error of training.

    on_line: called with each evaluation and the share that is done. stop: True ends the run early. Training that
    diverges (NaN) ends it too; the last line then has the sentence under `broken`.
    """
    lines: list[JsonObject] = []
    seconds, share = 0.0, 0.0
    while True:
        steps = sum(trainer.steps.values())
        stopped = stop()
        if share >= len(lines) / experiment.evaluations or share == 1 or stopped:
            line = {"plays": steps, "seconds": round(seconds, 3)} | trainer.meter.read()
            lines.append(line | experiment.evaluate(trainer))
            trainer.meter = Meter()
            on_line(lines[-1], share)
        if share == 1 or stopped:
            return lines, share == 1, None
        start = time.perf_counter()
        try:
            trainer.step()
        except SimulacraError as error:
            with messages.using("en"):
                lines[-1]["broken"] = str(error)
            return lines, False, error
        seconds += time.perf_counter() - start
        share = length.share(steps + 1, seconds)
