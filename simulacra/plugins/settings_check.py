"""Does every setting of a GAN matter? Trains a few steps with another value of each, and compares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from simulacra.data.feed import Feed
from simulacra.errors import SimulacraError
from simulacra.gan import GAN
from simulacra.plugins.harness import CPU, differences, noise, suitable
from simulacra.training.trainer import Trainer

OF_THE_CLOCK = frozenset({"epochs"})  # read by the plan alone
STEPS = 5
FIRST_LOOK = 2  # steps after which most settings have shown their effect
VALUES: dict[str, Any] = {  # where the generic other value has no effect on so few steps, or is not valid
    **{"conditional": True, "balance": "fixed:2", "epochs": 7.0, "pixels": 512, "kernel": 6, "z": 9, "w": 9},
    **{
        "augment": "diff",
        "augment_kinds": ("colour",),
        "augment_images": 100.0,
        "augment_last": 0.5,
        "betas": (0.3, 0.9),
    },
    **{"features_max": 4, "hidden": (16,), "hidden_g": (16,), "hidden_d": (16,), "clip": 1e-4, "norm_g": "instance"},
    **{"norm_d": "instance", "gamma": 3.0, "bank": 9, "group": 2, "batch": 4, "output": "linear"},
    **{"fade": 8, "stable": 8, "lr_d": 3e-3, "length": 12.0, "halvings": 1, "blocks": 2, "fine": 4, "burn_in": 20.0},
    **{
        "augment_p": 0.3,
        "augment_target": 0.0,
        "ema": 0.05,
        "ema_first": 3.0,
        "path_share": 1.0,
        "zoom": 1.4,
        "pool": 2,
    },
}


def another_value(gan: GAN, name: str) -> Any:
    """A valid value of a setting that is not its own."""
    value, hint = getattr(gan.config, name), get_type_hints(type(gan.config))[name]
    if isinstance(value, tuple) and value and all(isinstance(part, float) for part in value) and name != "betas":
        return tuple(part + 4.0 for part in value)
    if name in VALUES and VALUES[name] != value and isinstance(VALUES[name], tuple) == isinstance(value, tuple):
        return VALUES[name]
    if get_origin(hint) is Literal:
        return next(choice for choice in reversed(get_args(hint)) if choice != value)
    if isinstance(value, bool):
        return not value
    if name == "balance":
        return "fixed:1"
    if isinstance(value, tuple):
        return (*value, *value) if value else value
    return value + 1 if isinstance(value, int) else value * 0.6 if value else 0.3


def trained_states(gan: GAN, folder: Path, *, bf16: bool = False, steps: int = STEPS) -> Iterator[dict[str, Any]]:
    """Weights, buffers and the average after `FIRST_LOOK` steps and after all; not copied."""
    feed = Feed(suitable(type(gan), noise(24)), CPU, seed=3, mirror=gan.config.mirror)
    feed.attach_labels(gan.G)
    trainer = Trainer(gan, feed, folder, seed=3, precision="bf16" if bf16 else "fp32")
    for step in range(1, steps + 1):
        trainer.step()
        if step in (FIRST_LOOK, steps):
            state = trainer.state_dict()
            yield {key: state[key] for key in ("gan", "ema")}


def without_effect(
    build: Callable[..., GAN], folder: Path, names: Iterable[str], *, steps: int = STEPS,
    on_refusal: Callable[[str, SimulacraError], None] = lambda name, error: None,
) -> list[str]:  # fmt: skip
    """Settings whose other values change nothing in `build(**settings)`, and are not refused.

    on_refusal: called with a setting and the error that refuses its other value.
    """
    plain, names = build(), list(names)
    in_bf16 = {name for name in names if name == "penalty_precision"}  # has no effect in fp32
    states = {
        bf16: [deepcopy(state) for state in trained_states(build(), folder, bf16=bf16, steps=steps)]
        for bf16 in {False, bool(in_bf16)}
    }
    idle = []
    for name in names:
        try:
            gan = build(**{name: another_value(plain, name)})
        except SimulacraError as error:
            on_refusal(name, error)
            continue
        trained = trained_states(gan, folder, bf16=name in in_bf16, steps=steps)  # no further than a difference
        if not any(differences(state, own) for state, own in zip(states[name in in_bf16], trained, strict=False)):
            idle.append(name)
    return idle
