"""An experiment: a real game of the house, played by the real trainer on something whose modes can be counted."""

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

from simulacra.data.feed import Feed
from simulacra.errors import SimulacraError
from simulacra.gan import Batch, Shape, configured, find
from simulacra.training.journal import Meter
from simulacra.training.trainer import Trainer

Line = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Length:
    """When it ends: after so many plays of both sides, or minutes of playing; whichever comes first."""

    plays: int | None
    minutes: float | None

    def __post_init__(self) -> None:
        if self.plays is not None and self.plays < 1:
            raise SimulacraError(f"--plays is {self.plays}; it must be at least 1.")
        if self.minutes is not None and not 0 < self.minutes < float("inf"):
            raise SimulacraError(f"--minutes is {self.minutes}; it must be a positive number.")

    def share(self, plays: int, seconds: float) -> float:
        """How much is done, 0 to 1."""
        by_plays = plays / self.plays if self.plays else 0.0
        return min(1.0, max(by_plays, seconds / (60 * self.minutes) if self.minutes else 0.0))


class Experiment(ABC):
    """What is dealt, how it is scored and what is drawn of it."""

    shape: ClassVar[Shape]
    haste: Mapping[str, Any]  # settings to learn in minutes, where a game has them
    length: Length  # where none is asked for
    looks: int  # how often it is scored

    @abstractmethod
    def draw(self, n: int, source: np.random.Generator) -> Tensor:
        """`n` reals [n, C, H, W]."""

    @abstractmethod
    def ceiling(self) -> Line:
        """The scores of reals."""

    @abstractmethod
    def look(self, trainer: Trainer) -> Line:
        """The scores of this moment; what is to be drawn of it is kept."""

    @abstractmethod
    def in_words(self, scores: Mapping[str, Any]) -> str:
        """Scores as one line."""

    @abstractmethod
    def describe(self, line: Line) -> str:
        """A moment of the run as one line."""

    @abstractmethod
    def finish(self, folder: Path, title: str, lines: list[Line], trainer: Trainer) -> tuple[Line, list[Path]]:
        """What is scored at the end alone, and the files drawn."""


class Endless(Feed):
    """Batches of an experiment that never repeat themselves: a function of (seed, images shown)."""

    def __init__(self, draw: Callable[[int, np.random.Generator], Tensor], *, seed: int) -> None:
        self.draw, self.seed, self.device = draw, seed, torch.device("cpu")

    def batch(self, start: int, count: int) -> Batch:
        """`count` reals [count, C, H, W]."""
        return Batch(self.draw(count, np.random.default_rng((self.seed, start))))


def build(experiment: Experiment, spec: str, settings: Mapping[str, Any], *, folder: Path, seed: int) -> Trainer:
    """A trainer for the game `spec`; `settings` stand over the preset's, and those over the experiment's own haste."""
    if not 0 <= seed < 1 << 63:
        raise SimulacraError(f"--seed is {seed}; it must be a whole number of at least 0.")
    name, _, preset = spec.partition(":")
    game, known = find(name), {field.name for field in dataclasses.fields(find(name).Config)}
    fixed = set(game.presets[preset].settings) if preset in game.presets else set()
    hasty = {key: value for key, value in experiment.haste.items() if key in known - fixed}
    game, config = configured(spec, experiment.shape, hasty | dict(settings))
    torch.manual_seed(seed)
    gan = game(config)
    if gan.task != "draw":
        raise SimulacraError(
            f"{name} turns pictures into pictures: the laboratory is for games that start from a latent."
        )
    return Trainer(gan, Endless(experiment.draw, seed=seed), folder, seed=seed)


def play(
    experiment: Experiment,
    trainer: Trainer,
    length: Length,
    *,
    looked: Callable[[Line, float], None],
    stop: Callable[[], bool],
) -> tuple[list[Line], bool]:
    """Play to the end, looking on the way; the lines, and whether the end was reached or `stop()` came before.

    looked: called with each line and the share that is done. A game that breaks (NaN) ends early: the last line says so
    under `broken`.
    """
    lines: list[Line] = []
    seconds, share = 0.0, 0.0
    while True:
        plays = sum(trainer.steps.values())
        halted = stop()
        if share >= len(lines) / experiment.looks or share == 1 or halted:
            lines.append(
                {"plays": plays, "seconds": round(seconds, 3)} | trainer.meter.read() | experiment.look(trainer)
            )
            trainer.meter = Meter()
            looked(lines[-1], share)
        if share == 1 or halted:
            return lines, share == 1
        began = time.perf_counter()
        try:
            trainer.step()
        except SimulacraError as error:
            lines[-1]["broken"] = str(error)
            return lines, False
        seconds += time.perf_counter() - began
        share = length.share(plays + 1, seconds)
