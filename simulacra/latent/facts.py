"""Facts of a model and its directions as JSON: what a page must know to show only what the model can do."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from simulacra import storage
from simulacra.cascade import factors
from simulacra.files import read_json
from simulacra.generator import Generator
from simulacra.latent.recipe import Direction
from simulacra.model import Model


def model_facts(folder: Path, model: Model) -> dict[str, Any]:
    """Facts of a model of any task."""
    config = read_json(folder / "config.json")
    return {
        "model": storage.fingerprint(folder),
        "task": model.task,
        "gan": config["gan"],
        "shape": list(model.shape),
        "data": config.get("data"),
        "nimg": config.get("nimg"),
    }


def generator_facts(folder: Path, generator: Generator) -> dict[str, Any]:
    """Facts of a model that draws: sizes of its latents, and the labels that it can be given."""
    return model_facts(folder, generator) | {
        "z": generator.z_dim,
        "factors": factors(folder),
        "w": generator.w_dim,
        "prior": generator.prior,
        "num_ws": generator.num_ws,
        "noise": generator.has_noise,
        "labels": [generator.name_of(number) for number in range(generator.labels)],
        "attributes": bool(generator.labels and generator.attributes),
    }


def direction_facts(directions: Iterable[Direction]) -> list[dict[str, Any]]:
    """Directions without their vectors. named: whether the name says more than how pictures change."""
    from simulacra.latent.effects import is_description  # the explorer's first picture need not wait for this import

    keys = ("name", "kind", "layers", "about", "accuracy", "own")
    return [
        {key: getattr(direction, key) for key in keys} | {"named": direction.own or not is_description(direction.name)}
        for direction in directions
    ]
