"""Directions kept beside their model, in one file of safetensors with readable JSON inside."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from platformdirs import user_data_path
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as packed
from torch.nn import functional as F

from simulacra.errors import SimulacraError, did_you_mean
from simulacra.files import written_aside
from simulacra.latent.directions import NEAR, free
from simulacra.latent.recipe import Direction
from simulacra.storage import fingerprint, model_folder

FORMAT = "simulacra-directions-1"
FILE = "directions.safetensors"
LONGEST = 60  # letters of a name


def place(where: str | Path | None = None) -> Path:
    """The file that a model's directions are written to.

    Beside the model; of a run, `directions/CHECKPOINT.safetensors` in it, which outlives the checkpoint; of a model that
    comes along, in the user's own folder for data.
    """
    folder = model_folder(where)
    if comes_along(folder):
        return user_data_path("simulacra") / "directions" / f"{fingerprint(folder)}.safetensors"
    if folder.parent.name == "checkpoints":
        return folder.parent.parent / "directions" / f"{folder.name}.safetensors"
    return folder / FILE


def comes_along(folder: Path) -> bool:
    """Whether a model's folder is part of the package, by whatever path: nothing is written there."""
    return folder.resolve().is_relative_to(model_folder().resolve().parent)


def open_directions(where: str | Path | None = None, path: Path | None = None) -> list[Direction]:
    """The directions kept for a model, in order; none where none were found yet.

    path: another file than `place` says. For the model that comes along: the user's own, else those that come along.
    Raises `SimulacraError` for a file that is damaged, or that belongs to another model.
    """
    if path is None:
        path = place(where)
        path = path if path.exists() else model_folder(where) / FILE
        if not path.exists():
            return []
    return _read(path, where)


def by_name(where: str | Path | None = None) -> dict[str, Direction]:
    """`open_directions` as recipes ask for them."""
    return {direction.name: direction for direction in open_directions(where)}


def save(found: Sequence[Direction], where: str | Path | None = None, path: Path | None = None) -> list[Direction]:
    """Keep newly found directions instead of those found before; returns all that are kept then, the user's own first.

    What a user named or made stays as it is: a new one that is nearly the same is dropped, one of the same name takes a
    number.
    """
    own = [direction for direction in open_directions(where, path) if direction.own]
    kept = list(own)
    for direction in found:
        if not any(_same(direction, other) for other in own):
            kept.append(replace(direction, name=free(direction.name, [other.name for other in kept])))
    _write(kept, where, path)
    return kept


def keep(direction: Direction, where: str | Path | None = None, path: Path | None = None) -> list[Direction]:
    """Add a direction that a user made, after those made before. Raises `SimulacraError` where its name is taken, or none."""
    there = open_directions(where, path)
    made = replace(direction, name=_named(direction.name, there), own=True)
    kept = [*(each for each in there if each.own), made, *(each for each in there if not each.own)]
    _write(kept, where, path)
    return kept


def rename(old: str, new: str, where: str | Path | None = None, path: Path | None = None) -> list[Direction]:
    """Give a direction another name, which makes it the user's own. Raises `SimulacraError` for an unknown or taken one."""
    there = open_directions(where, path)
    names = [direction.name for direction in there]
    if old not in names:
        hint = did_you_mean(old, names) or (f" There are: {', '.join(names)}." if names else " None were found yet.")
        raise SimulacraError(f"There is no direction called {old!r}.{hint}")
    name = _named(new, [direction for direction in there if direction.name != old])
    kept = [replace(each, name=name, own=True) if each.name == old else each for each in there]
    _write(kept, where, path)
    return kept


def _named(name: str, there: Sequence[Direction]) -> str:
    """A name that can be given, without spaces around it."""
    told = name.strip()
    if not told or len(told) > LONGEST or not told.isprintable() or "=" in told:
        raise SimulacraError(f"{name!r} is no name for a direction: 1 to {LONGEST} letters on a line, without =.")
    if any(direction.name == told for direction in there):
        raise SimulacraError(f"There already is a direction called {told!r}: choose another name.")
    return told


def _same(one: Direction, other: Direction) -> bool:
    return one.layers == other.layers and abs(float(F.cosine_similarity(one.vector, other.vector, dim=0))) >= NEAR


def _write(kept: Sequence[Direction], where: str | Path | None, path: Path | None) -> None:
    told = [
        {key: getattr(direction, key) for key in ("name", "kind", "layers", "about", "accuracy", "label", "own")}
        for direction in kept
    ]
    vectors = torch.stack([d.vector.detach().float().cpu() for d in kept]) if kept else torch.zeros(0, 0)
    about = {"format": FORMAT, "model": fingerprint(where), "directions": json.dumps(told, ensure_ascii=False)}
    with written_aside(path or place(where)) as file:
        file.write(packed({"vectors": vectors.contiguous()}, about))


def _read(path: Path, where: str | Path | None) -> list[Direction]:
    if not path.exists():
        return []
    try:
        with safe_open(path, "pt") as file:
            about: dict[str, str] = file.metadata() or {}
            vectors = file.get_tensor("vectors") if "vectors" in file.keys() else None  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise SimulacraError(
            f"{path} is not a file of directions ({error}): move it away and find them anew."
        ) from error
    if vectors is None or about.get("format") != FORMAT:
        raise SimulacraError(f"{path} is not of the format {FORMAT}: move it away and find them anew.")
    if about.get("model") != fingerprint(where):
        raise SimulacraError(
            f"{path} holds directions of another model ({about.get('model')}, and this is {fingerprint(where)}): "
            "move it away and find them anew."
        )
    try:
        told: list[dict[str, Any]] = json.loads(about["directions"])
        if vectors.dim() != 2 or not bool(vectors.isfinite().all()):
            raise ValueError("its numbers are none")
        found = [_direction(each, vector) for each, vector in zip(told, vectors.unbind(0), strict=True)]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise SimulacraError(f"{path} is damaged ({error}): move it away and find them anew.") from error
    return found


def _direction(told: dict[str, Any], vector: torch.Tensor) -> Direction:
    layers = told["layers"]
    return Direction(
        name=str(told["name"]),
        vector=vector,
        kind=str(told["kind"]),
        layers=None if layers is None else (int(layers[0]), int(layers[1])),
        about=str(told["about"]),
        accuracy=None if told["accuracy"] is None else float(told["accuracy"]),
        label=str(told["label"]),
        own=bool(told["own"]),
    )
