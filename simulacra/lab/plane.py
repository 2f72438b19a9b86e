"""Games in the plane: points as pictures of one pixel with two channels."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

import numpy as np
import torch
from torch import Tensor

from simulacra.errors import SimulacraError
from simulacra.gan import GAN, Generator, Shape, gans
from simulacra.lab.animation import EXTENT, PlaneFilm, Snapshot, save_film, save_still
from simulacra.lab.experiment import Experiment, Length, Line
from simulacra.lab.measures import coverage
from simulacra.lab.targets import TARGETS
from simulacra.training.trainer import Trainer

FAKES = 2500  # as in VEEGAN's and PacGAN's tables
MESH = 96  # D is asked at so many points a side

PLAYS = {"ring": 6000, "grid": 12_000, "roll": 6000}
LAYERS = {"ring": 2, "grid": 3, "roll": 2}  # of 128
# Sizes, rates, and weights that suit the distances of the plane; what else a game does (momentum, balance, loss) is its
# own.
HASTE = {
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
    """Whether a game has fully connected networks: a setting `hidden`, and `network=mlp` where there is a choice."""
    hints = get_type_hints(gan.Config)
    choice = hints.get("network")
    return "hidden" in hints and (choice is None or (get_origin(choice) is Literal and "mlp" in get_args(choice)))


def require_supported(name: str) -> None:
    """SimulacraError, naming those that can, for a game without fully connected networks."""
    known = gans()
    if name in known and not is_supported(known[name]):
        able = ", ".join(each for each, gan in known.items() if is_supported(gan))
        raise SimulacraError(
            f"{name} has no fully connected networks, which points of the plane need. These have: {able}."
        )


class PlaneExperiment(Experiment):
    """A target of the plane."""

    shape: ClassVar[Shape] = (2, 1, 1)
    looks = 80

    def __init__(self, name: str) -> None:
        self.target, self.length = TARGETS[name](), Length(plays=PLAYS[name], minutes=None)
        self.haste = HASTE | {"hidden": (128,) * LAYERS[name]}
        self.shots: list[Snapshot] = []
        ticks = torch.linspace(-EXTENT, EXTENT, MESH)
        self.mesh = torch.cartesian_prod(ticks, ticks).flip(1)[:, :, None, None]  # [S·S, 2, 1, 1], rows from below
        self.reals = self.target.draw(FAKES, np.random.default_rng(0))
        self.latents: Tensor | None = None  # [FAKES, z]: the same at every look

    def draw(self, n: int, source: np.random.Generator) -> Tensor:
        """`n` reals [n, 2, 1, 1]."""
        return self.target.draw(n, source)[:, :, None, None]

    def ceiling(self) -> Line:
        """The scores of as many reals."""
        return self.score(self.reals)

    def score(self, points: Tensor) -> Line:
        """The coverage of points [N, 2], rounded."""
        found = coverage(self.target.assign(points), self.target.modes)
        return {key: round(value, 4) if value is not None else None for key, value in dataclasses.asdict(found).items()}

    @torch.no_grad()
    def look(self, trainer: Trainer) -> Line:
        """The scores of G and of its average from the same latents, and a snapshot of G and D."""
        if self.latents is None:
            self.latents = trainer.gan.G.seeded(range(FAKES))
        fakes = {"now": self.fakes(trainer.gan.G), "average": self.fakes(trainer.ema.average)}
        trainer.gan.D.eval()
        field = trainer.gan.D(self.mesh)
        trainer.gan.D.train()
        field = (field if trainer.gan.critic else field.sigmoid()).view(MESH, MESH)
        self.shots.append(Snapshot(fakes["now"].numpy(), field.numpy()))
        return {which: self.score(points) for which, points in fakes.items()}

    def fakes(self, generator: Generator) -> Tensor:
        """The points [N, 2] of fixed latents; the generator stays as it was."""
        training = generator.training
        generator.eval()
        points: Tensor = generator(self.latents).flatten(1)
        generator.train(training)
        return points

    def in_words(self, scores: Mapping[str, Any]) -> str:
        """Scores as one line."""
        kl = "" if scores["kl"] is None else f"   KL {scores['kl']:.2f}"
        return f"{scores['modes']} of {self.target.modes} modes   {scores['good']:.0%} good{kl}"

    def describe(self, line: Line) -> str:
        """A moment of the run as one line: the scores of G, and of its average."""
        average = line["average"]
        return f"{self.heading(line)}   (its average: {average['modes']}, {average['good']:.0%})"

    def heading(self, line: Line) -> str:
        """The same for a frame, which shows G alone."""
        return f"play {line['plays']:,}:   {self.in_words(line['now'])}"

    def finish(self, folder: Path, title: str, lines: list[Line], trainer: Trainer) -> tuple[Line, list[Path]]:
        """Film and still."""
        film = PlaneFilm(
            title,
            self.reals.numpy(),
            modes=self.target.modes,
            ceiling=self.ceiling()["good"],
            critic=trainer.gan.critic,
        )
        frames = list(film.frames(self.shots, lines, self.heading))
        return {}, [
            save_film(folder / "film.webp", frames),
            save_still(folder / "still.png", film.still(self.shots, lines)),
        ]
