"""A GAN in the plane that is trained on request, a few steps at a time: the experiment of the lab's page."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from simulacra.config import spelled, updated
from simulacra.errors import SimulacraError, did_you_mean
from simulacra.files import JsonObject
from simulacra.gan import GAN, Settings, setting_text
from simulacra.lab.animation import EXTENT, MOST_POINTS
from simulacra.lab.experiment import build_trainer, configure
from simulacra.lab.plane import PlaneExperiment, require_supported, supported
from simulacra.lab.targets import TARGETS
from simulacra.registry import gans
from simulacra.training.balance import FixedBalance
from simulacra.training.journal import Meter
from simulacra.training.trainer import TrainingDiverged

MESH = 48  # points per side at which D is evaluated: half of a film's, in a quarter of the time
MOST_STEPS = 200  # in a request
# Settings with a control, in the page's order, where the GAN has them
CONTROLS = (
    "lr",
    "lr_d",
    "balance",
    "loss",
    "gp",
    "gamma",
    "clamp",
    "betas",
    "batch",
    "hidden",
    "z",
    "smoothing",
    "dropout",
)
LIVE = ("lr", "lr_d")  # change at the next step; the others restart
MOST: Mapping[str, int] = {"batch": 1024, "hidden": 512, "z": 128}
MOST_LAYERS = 4
OF = ("turn", "round", "D", "G")


class OnePlayer(FixedBalance):
    """Every step is this player's."""

    def __init__(self, player: str) -> None:
        super().__init__(1)
        self.player = player

    def next(self) -> str:
        """The player."""
        return self.player


class LiveExperiment:
    """A target, a GAN and its trainer. It computes within `advance` alone."""

    def __init__(self, target: str, gan: str, settings: Mapping[str, Any], seed: int) -> None:
        if target not in TARGETS:
            raise SimulacraError(
                "lab.unknown_target", name=target, hint=did_you_mean(target, TARGETS), names=[*TARGETS]
            )
        if gan not in gans():  # `find` would also load a class from a file
            raise SimulacraError("lab.unknown_gan", name=gan[:40], names=supported())
        require_supported(gan)
        self.experiment, self.target, self.spec, self.seed = PlaneExperiment(target, mesh=MESH), target, gan, seed
        self.gan = gans()[gan]
        check_names(self.gan, settings, CONTROLS)
        _, config = configure(self.experiment, gan, settings)
        check_sizes(config)
        self.given = {name: spelled(getattr(config, name)) for name in settings}
        self.trainer = build_trainer(self.experiment, gan, settings, folder=Path("lab"), seed=seed)
        self.config = config  # with the rates of this moment; the trainer's are those of the start
        self.as_the_command = True  # whether `simulacra lab` can do the same
        self.diverged: SimulacraError | None = None

    def advance(self, steps: int, of: str, settings: Mapping[str, Any]) -> JsonObject:
        """Set rates, train, and return what the page draws.

        of: "turn" for steps of the player whose turn it is, as `simulacra lab` makes them; "round" for those up to G's
        next one; "D" or "G" for steps of one player alone. Raises `SimulacraError` once training has diverged.
        """
        if self.diverged:
            raise self.diverged
        if settings:
            self.set_rates(settings)
        if of not in OF:
            raise SimulacraError("lab.unknown_steps", of=of[:40], names=OF)
        try:
            for _ in range(steps):
                self.step(of)
            self.trainer.check_weights()
            return self.frame()
        except (TrainingDiverged, FloatingPointError) as error:
            self.diverged = SimulacraError("lab.diverged", steps=sum(self.trainer.steps.values()))
            raise self.diverged from error

    def set_rates(self, settings: Mapping[str, Any]) -> None:
        """Change learning rates from the next step on. Parameters with a rate of their own keep their proportion."""
        check_names(self.gan, settings, LIVE)
        changed = updated(self.config, settings, of=self.gan.name)
        for player, before, after in zip("DG", rates(self.config), rates(changed), strict=True):
            self.trainer.rates[player] = [rate * (after / before) for rate in self.trainer.rates[player]]
        self.config = changed
        if sum(self.trainer.steps.values()):
            self.as_the_command = False
        else:
            self.given |= {name: spelled(getattr(changed, name)) for name in settings}

    def step(self, of: str) -> None:
        """One step, or one round."""
        if of in ("D", "G"):
            balance, self.trainer.balance, self.as_the_command = self.trainer.balance, OnePlayer(of), False
            self.trainer.step()
            self.trainer.balance = balance
            return
        for _ in range(MOST_STEPS if of == "round" else 1):
            player = self.trainer.balance.next()
            self.trainer.step()
            if player == "G":
                return

    def frame(self) -> JsonObject:
        """Points, D's field, scores and losses at this step, as JSON values."""
        scores, snapshot = self.experiment.snapshot(self.trainer)
        if not (np.isfinite(snapshot.fakes).all() and np.isfinite(snapshot.field).all()):
            raise FloatingPointError
        means, self.trainer.meter = self.trainer.meter.read(), Meter()
        rate_d, rate_g = rates(self.config)
        return {
            "steps": dict(self.trainer.steps),
            "next": self.trainer.balance.next(),
            "fakes": encoded(snapshot.fakes[:MOST_POINTS].astype("<f4")),
            "field": encoded(as_bytes(snapshot.field, critic=self.gan.critic)),
            "scores": scores,
            "losses": {"D": means.get("d_loss"), "G": means.get("g_loss")},
            "rates": {"D": rate_d, "G": rate_g},
            "command": self.command(),
        }

    def command(self) -> str | None:
        """The command that trains the same; None after changes in between, which no command makes."""
        if not self.as_the_command:
            return None
        words = [f"simulacra lab {self.target} --gan {self.spec}"]
        words += [f"{name}={value}" for name, value in self.given.items()]
        return " ".join([*words, f"--plays {sum(self.trainer.steps.values())} --seed {self.seed}"])

    def describe(self) -> JsonObject:
        """What stays as long as the experiment: its data, its GAN and the controls, in the language in use."""
        return {
            "target": self.target,
            "gan": self.spec,
            "seed": self.seed,
            "modes": self.experiment.target.modes,
            "reals": encoded(self.experiment.reals.numpy()[:MOST_POINTS].astype("<f4")),
            "extent": EXTENT,
            "mesh": MESH,
            "critic": self.gan.critic,
            "controls": controls(self.gan, self.config),
            "given": self.given,
        }


def rates(config: Settings) -> tuple[float, float]:
    """The learning rates of D and of G."""
    return config.lr if config.lr_d is None else config.lr_d, config.lr


def check_names(gan: type[GAN], settings: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """Refuse settings that have no control here."""
    for name in settings:
        if name not in names:
            raise SimulacraError("lab.no_control", gan=gan.name, name=name[:40], names=names)


def check_sizes(config: Settings) -> None:
    """Refuse networks and batches that take longer than a page should wait. Raises `SimulacraError`."""
    hidden: tuple[int, ...] = getattr(config, "hidden", ())
    for name, most in MOST.items():
        value = getattr(config, name)
        if max(value if isinstance(value, tuple) else (value,), default=0) > most:
            raise SimulacraError("lab.too_large", name=name, most=most)
    if len(hidden) > MOST_LAYERS:
        raise SimulacraError("lab.too_many_layers", most=MOST_LAYERS)


def controls(gan: type[GAN], config: Settings) -> list[JsonObject]:
    """The settings with a control: name, value, choices, whether it changes without a restart, and its sentence."""
    hints, idle = get_type_hints(gan.Config), gan.idle_settings(config)
    names = {field.name for field in dataclasses.fields(config)} - idle.keys()
    return [
        {
            "name": name,
            "value": spelled(getattr(config, name)),
            "choices": list(map(str, get_args(hints[name]))) if get_origin(hints[name]) is Literal else None,
            "live": name in LIVE,
            "text": setting_text(gan, name),
        }
        for name in CONTROLS
        if name in names
    ]


def as_bytes(field: NDArray[np.float32], *, critic: bool) -> NDArray[np.uint8]:
    """D's field as colours from 0 to 255: a probability as it is, a critic's scores between their outer quantiles."""
    low, high = np.quantile(field, (0.02, 0.98)) if critic else (0.0, 1.0)
    share = (field.astype(np.float64) - low) / max(float(high - low), 1e-6)
    return (share.clip(0, 1) * 255).round().astype(np.uint8)


def encoded(array: NDArray[Any]) -> str:
    """An array's bytes in base64."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
