"""GANs in the plane: a point is a picture of one pixel with two channels."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

import numpy as np
import torch
from torch import Tensor

from simulacra.errors import SimulacraError
from simulacra.files import JsonObject
from simulacra.gan import GAN, Generator, Shape
from simulacra.lab.animation import EXTENT, PlaneFilm, Snapshot, save_film, save_still
from simulacra.lab.experiment import Experiment, ExperimentLength
from simulacra.lab.measures import coverage
from simulacra.lab.targets import TARGETS
from simulacra.messages import text, using
from simulacra.registry import gans
from simulacra.training.trainer import Trainer

FAKES = 2500  # as in the tables of VEEGAN and PacGAN
MESH = 96  # points per side at which D is evaluated

STEPS = {"ring": 6000, "grid": 12_000, "roll": 6000}
LAYERS = {"ring": 2, "grid": 3, "roll": 2}  # of 128
# Sizes, rates and weights that suit the distances of the plane; momentum, balance and loss stay the GAN's own.
FAST_SETTINGS = {
    "network": "mlp",
    "output": "linear",
    "z": 2,
    "batch": 256,
    "lr": 2e-3,
    "ema": 50_000.0,
    "clamp": 0.05,
    "gp": 1.0,
}


def is_supported(gan: type[GAN]) -> bool:
    """Whether a GAN has fully connected networks: a setting `hidden`, and `network=mlp` where there is a choice."""
    hints = get_type_hints(gan.Config)
    choice = hints.get("network")
    return "hidden" in hints and (choice is None or (get_origin(choice) is Literal and "mlp" in get_args(choice)))


def supported() -> list[str]:
    """The names of the GANs that work in the plane."""
    return [name for name, gan in gans().items() if is_supported(gan)]


def require_supported(name: str) -> None:
    """Raise `SimulacraError` for a GAN without fully connected networks, naming those that have them."""
    if name in gans() and name not in supported():
        raise SimulacraError("lab.not_fully_connected", name=name, names=supported())


class PlaneExperiment(Experiment):
    """A distribution of the plane."""

    shape: ClassVar[Shape] = (2, 1, 1)
    evaluations = 80

    def __init__(self, name: str, *, mesh: int = MESH) -> None:
        """mesh: points per side at which D is evaluated."""
        self.target, self.length = TARGETS[name](), ExperimentLength(steps=STEPS[name], minutes=None)
        self.fast_settings = FAST_SETTINGS | {"hidden": (128,) * LAYERS[name]}
        self.snapshots: list[Snapshot] = []
        self.side = mesh
        ticks = torch.linspace(-EXTENT, EXTENT, mesh)
        self.mesh = torch.cartesian_prod(ticks, ticks).flip(1)[:, :, None, None]  # [S·S, 2, 1, 1], rows from below
        self.reals = self.target.draw(FAKES, np.random.default_rng(0))
        self.latents: Tensor | None = None  # [FAKES, z]: the same in every evaluation

    def draw(self, n: int, rng: np.random.Generator) -> Tensor:
        """`n` reals [n, 2, 1, 1]."""
        return self.target.draw(n, rng)[:, :, None, None]

    def score_reals(self) -> JsonObject:
        """The scores of as many reals as fakes."""
        return self.score(self.reals)

    def score(self, points: Tensor) -> JsonObject:
        """The coverage of points [N, 2], rounded."""
        scores = dataclasses.asdict(coverage(self.target.assign(points), self.target.modes))
        return {key: round(value, 4) if value is not None else None for key, value in scores.items()}

    def evaluate(self, trainer: Trainer) -> JsonObject:
        """The scores of G and of its average from the same latents; stores a snapshot of G and D."""
        scores, snapshot = self.snapshot(trainer)
        self.snapshots.append(snapshot)
        return scores

    @torch.no_grad()
    def snapshot(self, trainer: Trainer) -> tuple[JsonObject, Snapshot]:
        """The scores of G (`now`) and of its average (`average`) from the same latents, and what the plane shows."""
        if self.latents is None:
            self.latents = trainer.gan.G.seeded(range(FAKES))
        fakes = {"now": self.fakes(trainer.gan.G), "average": self.fakes(trainer.ema.average)}
        trainer.gan.D.eval()
        field = trainer.gan.D(self.mesh)
        trainer.gan.D.train()
        field = (field if trainer.gan.critic else field.sigmoid()).view(self.side, self.side)
        scores = {which: self.score(points) for which, points in fakes.items()}
        return scores, Snapshot(fakes["now"].numpy(), field.numpy())

    def fakes(self, generator: Generator) -> Tensor:
        """The points [N, 2] of the fixed latents; the generator's mode is restored."""
        training = generator.training
        generator.eval()
        points: Tensor = generator(self.latents).flatten(1)
        generator.train(training)
        return points

    def format_scores(self, scores: Mapping[str, Any]) -> str:
        """Scores as one line."""
        values = {"modes": scores["modes"], "total": self.target.modes, "good": scores["good"]}
        if scores["kl"] is None:
            return text("lab.plane_scores", **values)
        return text("lab.plane_scores_kl", kl=scores["kl"], **values)

    def format_line(self, line: JsonObject) -> str:
        """An evaluation as one line: the scores of G, and of its average."""
        average = line["average"]
        return text("lab.plane_line", line=self.heading(line), modes=average["modes"], good=average["good"])

    def heading(self, line: JsonObject) -> str:
        """The scores of G alone, which the film shows."""
        return text("lab.line", steps=line["plays"], scores=self.format_scores(line["now"]))

    def finish(
        self, folder: Path, title: str, lines: list[JsonObject], trainer: Trainer
    ) -> tuple[JsonObject, list[Path]]:
        """Film and still, in English."""
        film = PlaneFilm(
            title,
            self.reals.numpy(),
            modes=self.target.modes,
            ceiling=self.score_reals()["good"],
            critic=trainer.gan.critic,
        )
        with using("en"):
            frames = list(film.frames(self.snapshots, lines, self.heading))
        still = save_still(folder / "still.png", film.still(self.snapshots, lines))
        return {}, [save_film(folder / "film.webp", frames), still]
