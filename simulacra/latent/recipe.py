"""A picture as a few numbers that can be written down: where it starts, and what was done to it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from simulacra.errors import SimulacraError, did_you_mean
from simulacra.generator import Generator, Layers

STRENGTH = 10.0  # at most, of a direction, either way
LARGEST = 100.0  # at most, of a number of z or w, either way


@dataclass(frozen=True, kw_only=True, eq=False)
class Direction:
    """A way to move in w that changes something one can name.

    vector: [w_dim], the step of strength 1: as long as the model's own w spread along it (one standard deviation); of
    a combination of others, all of them as they were when it was kept.
    kind: how it was found. layers: where it acts if nothing else is said; None is everywhere.
    about: what it changes, in words. accuracy: how often the one who found it is right on pictures it has not seen.
    label: the attribute, class or group of the data that it was learned from, whatever it is called now.
    own: a user made or named it, and no new search may take it away.
    """

    name: str
    vector: Tensor
    kind: str
    layers: Layers = None
    about: str = ""
    accuracy: float | None = None
    label: str = ""
    own: bool = False


@dataclass(frozen=True, kw_only=True)
class Edit:
    """So much of a direction, in some layers."""

    strength: float
    layers: Layers = None


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Where a picture starts (one of seed, z and w), and what was done to it, in this order.

    label: see `Generator.labelled`. numbers: of z, replaced. other, layers: the styles of another picture in these
    layers. truncation: see `Generator.truncate`. edits: by the direction's name.
    """

    seed: int | None = None
    z: tuple[float, ...] = ()
    w: tuple[tuple[float, ...], ...] = ()  # one row, or one for each layer
    label: str = ""
    numbers: Mapping[int, float] = field(default_factory=dict)
    other: Recipe | None = None
    layers: Layers = None
    truncation: float = 1.0
    edits: Mapping[str, Edit] = field(default_factory=dict)


def latents(generator: Generator, recipe: Recipe, directions: Mapping[str, Direction]) -> Tensor:
    """The w that a recipe means: [1, w], or [1, styles, w] where layers differ.

    Raises `SimulacraError` for what the model cannot do, a wrong count, a number that is none or too large.
    """
    y = generator.labelled([_seed(recipe)], recipe.label)
    w = _own(generator, recipe.w, y) if recipe.w else generator.mapping(latent(generator, recipe), y)
    if recipe.other is not None:
        w = _mixed(generator, w, latents(generator, recipe.other, directions), recipe.layers)
    if recipe.truncation != 1:
        w = generator.truncate(w, _finite(recipe.truncation, "truncation", 2.0), y)
    for name, edit in recipe.edits.items():
        w = moved(generator, w, known(name, directions), strength(edit.strength, name), edit.layers)
    return w


def known(name: str, directions: Mapping[str, Direction]) -> Direction:
    """A direction by its name. Raises `SimulacraError` where there is none."""
    if name not in directions:
        hint = did_you_mean(name, directions) or " This model has none with that name."
        raise SimulacraError(f"There is no direction called {name!r}.{hint}")
    return directions[name]


def strength(value: float, name: str) -> float:
    """How much of the direction `name`. Raises `SimulacraError` for what is no number, or too large a one."""
    return _finite(value, name, STRENGTH)


def latent(generator: Generator, recipe: Recipe) -> Tensor:
    """The z [1, z] that a recipe starts from. Raises `SimulacraError` where it starts from w, and as `latents`."""
    seed = _seed(recipe)
    if recipe.w:
        raise SimulacraError("This picture starts from w: it has no z.")
    z = _numbers([recipe.z], "z", generator) if recipe.z else generator.seeded([seed])
    for index, value in recipe.numbers.items():
        if not 0 <= index < generator.z_dim:
            raise SimulacraError(f"z has no number {index}: they go from 0 to {generator.z_dim - 1}.")
        z[:, index] = _finite(value, f"number {index} of z", LARGEST)
    return z


def moved(
    generator: Generator, w: Tensor, direction: Direction, strength: float | Tensor, layers: Layers = None
) -> Tensor:
    """w [N, w] or [N, styles, w] moved along a direction; [N, styles, w] where only in some layers.

    strength: one for all, or [N]. layers: instead of the direction's own. What tells of a label stays.
    """
    if direction.vector.shape != (generator.w_dim,):
        raise SimulacraError(
            f"The direction {direction.name!r} has {len(direction.vector)} numbers, and this model's w has "
            f"{generator.w_dim}: it was found on another model."
        )
    step = torch.zeros(w.shape[-1], device=w.device)
    step[: generator.w_dim] = direction.vector.to(w.device)
    many = torch.as_tensor(strength, dtype=w.dtype, device=w.device).reshape(-1, 1) * step  # [1 or N, w]
    layers = layers or direction.layers
    if layers is None:
        return w + (many[:, None] if w.dim() == 3 else many)
    return torch.where(_chosen(generator, layers).to(w.device), each(generator, w) + many[:, None], each(generator, w))


def each(generator: Generator, w: Tensor) -> Tensor:
    """w [N, w] or [N, styles, w] -> [N, styles, w]."""
    return w if w.dim() == 3 else w[:, None].expand(-1, generator.num_ws, -1)


def _seed(recipe: Recipe) -> int:
    """The seed that a recipe starts from; 0 where it starts from z or w."""
    if sum([bool(recipe.z), bool(recipe.w), recipe.seed is not None]) != 1:
        raise SimulacraError("A picture starts from one of seed, z and w: give exactly one.")
    seed = recipe.seed or 0
    if not 0 <= seed < 2**32:
        raise SimulacraError(f"The seed {seed} is not a whole number from 0 to 2^32 - 1.")
    return seed


def _mixed(generator: Generator, w: Tensor, other: Tensor, layers: Layers) -> Tensor:
    if not generator.num_ws:
        raise SimulacraError(
            "This model has no layers with styles of their own, so that nothing can be mixed by layer."
        )
    return torch.where(_chosen(generator, layers or (0, generator.num_ws)), each(generator, other), each(generator, w))


def _chosen(generator: Generator, layers: tuple[int, int]) -> Tensor:
    """[styles, 1] bool."""
    first, end = layers
    if not 0 <= first < end <= generator.num_ws:
        have = f"has {generator.num_ws}, from 0" if generator.num_ws else "has none"
        raise SimulacraError(f"Layers {first} to {end} do not exist: this model {have}.")
    chosen = torch.zeros(generator.num_ws, 1, dtype=torch.bool, device=generator.device)
    chosen[first:end] = True
    return chosen


def _own(generator: Generator, rows: Sequence[Sequence[float]], y: Tensor | None) -> Tensor:
    """A w that was written down, with what tells of the label beside it where w is z."""
    if len(rows) not in (1, generator.num_ws):
        either = f" or {generator.num_ws}" if generator.num_ws else ""
        raise SimulacraError(f"w has {len(rows)} rows, and this model takes 1{either}.")
    w = _numbers(rows, "w", generator)
    if generator.num_ws:
        return w if len(w) == 1 else w[None]
    return generator.mapping(w, y)


def _numbers(rows: Sequence[Sequence[float]], what: str, generator: Generator) -> Tensor:
    count = generator.z_dim if what == "z" else generator.w_dim
    for row in rows:
        if len(row) != count:
            raise SimulacraError(f"{what} has {len(row)} numbers, and this model takes {count}.")
        for i, value in enumerate(row):
            _finite(value, f"number {i} of {what}", LARGEST)
    return torch.tensor(rows, dtype=torch.float32, device=generator.device)


def _finite(value: Any, what: str, most: float) -> float:
    if not math.isfinite(value) or abs(value) > most:
        raise SimulacraError(f"{what} is {value}; it must be a number from {-most:g} to {most:g}.")
    return float(value)


def from_json(told: Any) -> Recipe:
    """A recipe from parsed JSON, as `to_json` writes it. Raises `SimulacraError` for anything else."""
    if not isinstance(told, dict):
        raise SimulacraError('A picture\'s recipe is a JSON object such as {"seed": 7}.')
    fields = Recipe.__dataclass_fields__
    for key in told:
        if key not in fields:
            raise SimulacraError(f"A picture's recipe has no {key!r}.{did_you_mean(str(key), fields)}")
    try:
        w = _list(told.get("w", []))
        return Recipe(
            seed=None if told.get("seed") is None else _whole(told["seed"]),
            z=tuple(float(value) for value in _list(told.get("z", []))),
            w=tuple(tuple(map(float, _list(row))) for row in ([w] if w and not isinstance(w[0], list) else w)),
            label=_text(told.get("label", "")),
            numbers={int(index): float(value) for index, value in told.get("numbers", {}).items()},
            other=None if told.get("other") is None else from_json(told["other"]),
            layers=_pair(told.get("layers")),
            truncation=float(told.get("truncation", 1.0)),
            edits={_text(name): _edit(edit) for name, edit in told.get("edits", {}).items()},
        )
    except (TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise SimulacraError(f"This is not a picture's recipe: {error}.") from error


def to_json(recipe: Recipe) -> dict[str, Any]:
    """A recipe as JSON: what is as usual is left out."""
    told: dict[str, Any] = {}
    if recipe.seed is not None:
        told["seed"] = recipe.seed
    if recipe.z:
        told["z"] = list(recipe.z)
    if recipe.w:
        told["w"] = [list(row) for row in recipe.w]
    if recipe.label:
        told["label"] = recipe.label
    if recipe.numbers:
        told["numbers"] = {str(index): value for index, value in recipe.numbers.items()}
    if recipe.other is not None:
        told |= {"other": to_json(recipe.other)}
    if recipe.layers is not None:
        told["layers"] = list(recipe.layers)
    if recipe.truncation != 1:
        told["truncation"] = recipe.truncation
    if recipe.edits:
        told["edits"] = {
            name: {"strength": edit.strength} | ({} if edit.layers is None else {"layers": list(edit.layers)})
            for name, edit in recipe.edits.items()
        }
    return told


def _edit(told: Any) -> Edit:
    """`{"strength": 1.5, "layers": [0, 4]}`, or 1.5."""
    if isinstance(told, dict):
        if "strength" not in told:
            raise ValueError("an edit has no strength")
        return Edit(strength=float(told["strength"]), layers=_pair(told.get("layers")))
    return Edit(strength=float(told))


def _pair(told: Any) -> Layers:
    if told is None:
        return None
    first, end = told
    return _whole(first), _whole(end)


def _list(told: Any) -> list[Any]:
    if not isinstance(told, list):
        raise ValueError(f"{told!r} is not a list")
    return told


def _whole(told: Any) -> int:
    if isinstance(told, bool) or not isinstance(told, int):
        raise ValueError(f"{told!r} is not a whole number")
    return told


def _text(told: Any) -> str:
    if not isinstance(told, str):
        raise ValueError(f"{told!r} is not a text")
    return told
