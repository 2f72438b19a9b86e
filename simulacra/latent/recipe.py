"""A picture as a few numbers: a start (a seed, z or w) and the edits made to it. Recipes are read and written as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from simulacra.errors import SimulacraError, did_you_mean
from simulacra.generator import Generator, Layers, LayerTruncation
from simulacra.latent.layer_ranges import MAX_TRUNCATION, format_layers, parse_layers
from simulacra.messages import Message
from simulacra.seeds import WordSeed, check_seed, is_word

MAX_STRENGTH = 10.0  # absolute value, of a direction
MAX_NUMBER = 100.0  # absolute value, in z or w


@dataclass(frozen=True, kw_only=True, eq=False)
class Direction:
    """A direction in w that changes something nameable.

    vector: [w_dim], the step of strength 1: one standard deviation of the model's w along it. A combination's step is
        the sum of its edits.
    kind: how it was found. layers: where it acts by default; None: in all.
    about: what it changes, in words. accuracy: of the linear model that found it, on pictures held out.
    label: the attribute, class or group of the data that it was learned from; renaming does not change it.
    own: the user made or named it, so a new search keeps it.
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
    """A move along a direction, in all or some layers."""

    strength: float
    layers: Layers = None


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Start of a picture (exactly one of seed, z and w) and what is done to it, in the order of the fields.

    label: see `Generator.labelled`. numbers: replaced numbers of z by index. other, layers: another picture whose
    styles replace those of these layers. truncation: see `Generator.truncate`. layer_truncation: a further one for each
    range of layers. edits: by the direction's name. noise: see `Generator.render`.
    """

    seed: int | str | None = None  # a number, or a word
    z: tuple[float, ...] = ()
    w: tuple[tuple[float, ...], ...] = ()  # one row, or one per layer
    label: str = ""
    numbers: Mapping[int, float] = field(default_factory=dict)
    other: Recipe | None = None
    layers: Layers = None
    truncation: float = 1.0
    layer_truncation: LayerTruncation = field(default_factory=dict)
    edits: Mapping[str, Edit] = field(default_factory=dict)
    noise: int | None = None


def to_w(generator: Generator, recipe: Recipe, directions: Mapping[str, Direction]) -> Tensor:
    """The w of a recipe: [1, w], or [1, num_ws, w] where layers differ.

    Raises `SimulacraError` for what the model cannot do, wrong counts, and numbers that are not finite or too large.
    """
    y = generator.conditions([_seed(recipe)], recipe.label)
    w = _given_w(generator, recipe.w, y) if recipe.w else generator.mapping(to_z(generator, recipe), y)
    if recipe.other is not None:
        w = _mix(generator, w, to_w(generator, recipe.other, directions), recipe.layers)
    if recipe.truncation != 1:
        w = generator.truncate(w, _bounded(recipe.truncation, "truncation", MAX_TRUNCATION), y)
    for layers, psi in recipe.layer_truncation.items():
        w = generator.truncate(w, _bounded(psi, "truncation", MAX_TRUNCATION), y, layers)
    for name, edit in recipe.edits.items():
        w = move(generator, w, find_direction(name, directions), check_strength(edit.strength, name), edit.layers)
    return w


def to_z(generator: Generator, recipe: Recipe) -> Tensor:
    """The z [1, z] at the start of a recipe. Raises `SimulacraError` where it starts from w, and like `to_w`."""
    seed = _seed(recipe)
    if recipe.w:
        raise SimulacraError("latent.no_z")
    z = _rows([recipe.z], "z", generator) if recipe.z else generator.seeded([seed])
    for index, value in recipe.numbers.items():
        if not 0 <= index < generator.z_dim:
            raise SimulacraError("latent.no_such_number", index=index, last=generator.z_dim - 1)
        z[:, index] = _bounded(value, Message("latent.number_of", index=index, name="z"), MAX_NUMBER)
    return z


def find_direction(name: str, directions: Mapping[str, Direction]) -> Direction:
    """A direction by name. Raises `SimulacraError` where there is none."""
    if name not in directions:
        hint = did_you_mean(name, directions) or Message("latent.hint_no_such_direction")
        raise SimulacraError("latent.no_such_direction", name=name, hint=hint)
    return directions[name]


def check_strength(value: float, name: str) -> float:
    """The strength of the direction `name`. Raises `SimulacraError` for one that is not finite or too large."""
    return _bounded(value, name, MAX_STRENGTH)


def move(
    generator: Generator, w: Tensor, direction: Direction, strength: float | Tensor, layers: Layers = None
) -> Tensor:
    """w [N, w] or [N, num_ws, w] moved along a direction: [N, num_ws, w] where only some layers move.

    strength: one for all, or [N]. layers: instead of the direction's own. The label's part of w does not move.
    """
    if direction.vector.shape != (generator.w_dim,):
        raise SimulacraError(
            "latent.direction_of_another_model", name=direction.name, numbers=len(direction.vector), w=generator.w_dim
        )
    step = torch.zeros(w.shape[-1], device=w.device)
    step[: generator.w_dim] = direction.vector.to(w.device)
    steps = torch.as_tensor(strength, dtype=w.dtype, device=w.device).reshape(-1, 1) * step  # [1 or N, w]
    layers = layers or direction.layers
    if layers is None:
        return w + (steps[:, None] if w.dim() == 3 else steps)
    wide = per_layer(generator, w)
    return torch.where(_layer_mask(generator, layers).to(w.device), wide + steps[:, None], wide)


def per_layer(generator: Generator, w: Tensor) -> Tensor:
    """w [N, w] or [N, num_ws, w] -> [N, num_ws, w]."""
    return w if w.dim() == 3 else w[:, None].expand(-1, generator.num_ws, -1)


def _seed(recipe: Recipe) -> int:
    """The seed that a recipe starts from; 0 where it starts from z or w."""
    if sum([bool(recipe.z), bool(recipe.w), recipe.seed is not None]) != 1:
        raise SimulacraError("latent.one_start")
    seed = check_seed(recipe.seed) if isinstance(recipe.seed, str) else recipe.seed or 0
    if not isinstance(seed, WordSeed) and not 0 <= seed < 2**32:
        raise SimulacraError("latent.not_a_seed", seed=seed)
    return seed


def _mix(generator: Generator, w: Tensor, other: Tensor, layers: Layers) -> Tensor:
    if not generator.num_ws:
        raise SimulacraError("latent.no_layers_to_mix")
    mask = _layer_mask(generator, layers or (0, generator.num_ws))
    return torch.where(mask, per_layer(generator, other), per_layer(generator, w))


def _layer_mask(generator: Generator, layers: tuple[int, int]) -> Tensor:
    """[num_ws, 1] bool."""
    first, end = layers
    if not generator.num_ws:
        raise SimulacraError("latent.layers_without_layers", first=first, end=end)
    if not 0 <= first < end <= generator.num_ws:
        raise SimulacraError("latent.no_such_layers", first=first, end=end, num_ws=generator.num_ws)
    mask = torch.zeros(generator.num_ws, 1, dtype=torch.bool, device=generator.device)
    mask[first:end] = True
    return mask


def _given_w(generator: Generator, rows: Sequence[Sequence[float]], y: Tensor | None) -> Tensor:
    """A recipe's w, with the label beside it where the model has no mapping network."""
    if len(rows) not in (1, generator.num_ws):
        counts = ["1", str(generator.num_ws)] if generator.num_ws else ["1"]
        raise SimulacraError("latent.rows_of_w", rows=len(rows), counts=counts)
    w = _rows(rows, "w", generator)
    if generator.num_ws:
        return w if len(w) == 1 else w[None]
    return generator.mapping(w, y)


def _rows(rows: Sequence[Sequence[float]], name: str, generator: Generator) -> Tensor:
    """Rows of z or w as a tensor, checked."""
    size = generator.z_dim if name == "z" else generator.w_dim
    for row in rows:
        if len(row) != size:
            raise SimulacraError("latent.numbers_of_latent", name=name, numbers=len(row), size=size)
        for index, value in enumerate(row):
            _bounded(value, Message("latent.number_of", index=index, name=name), MAX_NUMBER)
    return torch.tensor(rows, dtype=torch.float32, device=generator.device)


def _bounded(value: Any, name: str | Message, most: float) -> float:
    if not math.isfinite(value) or abs(value) > most:
        raise SimulacraError("latent.out_of_range", name=name, value=value, most=most)
    return float(value)


def from_json(payload: Any) -> Recipe:
    """A recipe from parsed JSON, as `to_json` writes it. Raises `SimulacraError` for anything else."""
    if not isinstance(payload, dict):
        raise SimulacraError("latent.recipe_not_an_object")
    fields = Recipe.__dataclass_fields__
    for key in payload:
        if key not in fields:
            raise SimulacraError("latent.unknown_recipe_key", key=key, hint=did_you_mean(str(key), fields))
    try:
        w = _list(payload.get("w", []))
        return Recipe(
            seed=_start_seed(payload.get("seed")),
            z=tuple(float(value) for value in _list(payload.get("z", []))),
            w=tuple(tuple(map(float, _list(row))) for row in ([w] if w and not isinstance(w[0], list) else w)),
            label=_text(payload.get("label", "")),
            numbers={int(index): float(value) for index, value in payload.get("numbers", {}).items()},
            other=None if payload.get("other") is None else from_json(payload["other"]),
            layers=_layers(payload.get("layers")),
            truncation=float(payload.get("truncation", 1.0)),
            layer_truncation={
                parse_layers(_text(name)) or (0, 0): float(psi)
                for name, psi in payload.get("layer_truncation", {}).items()
            },
            edits={_text(name): _edit(edit) for name, edit in payload.get("edits", {}).items()},
            noise=None if payload.get("noise") is None else _int(payload["noise"]),
        )
    except (TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise SimulacraError("latent.not_a_recipe", reason=error) from error


def _start_seed(value: Any) -> int | str | None:
    """A stored seed: a number, or a word."""
    return value if value is None or (isinstance(value, str) and is_word(value)) else _int(value)


def to_json(recipe: Recipe) -> dict[str, Any]:
    """A recipe as JSON, without the fields that have their default."""
    payload: dict[str, Any] = {}
    if recipe.seed is not None:
        payload["seed"] = recipe.seed
    if recipe.z:
        payload["z"] = list(recipe.z)
    if recipe.w:
        payload["w"] = [list(row) for row in recipe.w]
    if recipe.label:
        payload["label"] = recipe.label
    if recipe.numbers:
        payload["numbers"] = {str(index): value for index, value in recipe.numbers.items()}
    if recipe.other is not None:
        payload["other"] = to_json(recipe.other)
    if recipe.layers is not None:
        payload["layers"] = list(recipe.layers)
    if recipe.truncation != 1:
        payload["truncation"] = recipe.truncation
    if recipe.layer_truncation:
        payload["layer_truncation"] = {format_layers(layers): psi for layers, psi in recipe.layer_truncation.items()}
    if recipe.noise is not None:
        payload["noise"] = recipe.noise
    if recipe.edits:
        payload["edits"] = {
            name: {"strength": edit.strength} | ({} if edit.layers is None else {"layers": list(edit.layers)})
            for name, edit in recipe.edits.items()
        }
    return payload


def _edit(payload: Any) -> Edit:
    """`{"strength": 1.5, "layers": [0, 4]}`, or 1.5."""
    if isinstance(payload, dict):
        if "strength" not in payload:
            raise SimulacraError("latent.edit_without_strength")
        return Edit(strength=float(payload["strength"]), layers=_layers(payload.get("layers")))
    return Edit(strength=float(payload))


def _layers(payload: Any) -> Layers:
    if payload is None:
        return None
    first, end = payload
    return _int(first), _int(end)


def _list(payload: Any) -> list[Any]:
    if not isinstance(payload, list):
        raise SimulacraError("latent.recipe_not_a_list", value=str(payload))
    return payload


def _int(payload: Any) -> int:
    if isinstance(payload, bool) or not isinstance(payload, int):
        raise SimulacraError("latent.recipe_not_an_int", value=str(payload))
    return payload


def _text(payload: Any) -> str:
    if not isinstance(payload, str):
        raise SimulacraError("latent.recipe_not_a_text", value=str(payload))
    return payload
