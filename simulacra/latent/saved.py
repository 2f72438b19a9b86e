"""Directions saved beside their model, in one file of safetensors with readable JSON inside."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from platformdirs import user_data_path
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch.nn import functional as F

from simulacra.errors import SimulacraError, did_you_mean
from simulacra.files import atomic_file
from simulacra.hub import is_downloaded
from simulacra.latent.discovery import MAX_COSINE, free_name
from simulacra.latent.recipe import Direction
from simulacra.messages import Message
from simulacra.storage import fingerprint, model_folder

FORMAT = "simulacra-directions-1"
FILE = "directions.safetensors"
KEYS = ("name", "kind", "layers", "about", "accuracy", "label", "own")  # of a direction in the file's JSON
MAX_LETTERS = 60  # of a name


def directions_file(model: str | Path | None = None) -> Path:
    """The file that a model's directions are written to.

    Beside the model; for a run, `directions/CHECKPOINT.safetensors` in it, which outlives the checkpoint; for a bundled
    or downloaded model, in the user's data folder.
    """
    folder = model_folder(model)
    place = user_folder(folder)
    if place == folder:
        return folder / FILE
    return place / "directions" / f"{fingerprint(folder) if is_read_only(folder) else folder.name}.safetensors"


def user_folder(folder: Path) -> Path:
    """Where the things that a user makes of a model are written.

    In the model's folder; for a checkpoint, in its run's, which outlives it; for a bundled or downloaded model, in the
    user's data folder.
    """
    if is_read_only(folder):
        return user_data_path("simulacra")
    return folder.parent.parent if folder.parent.name == "checkpoints" else folder


def is_read_only(folder: Path) -> bool:
    """Whether a model's folder is part of the package or was downloaded, and nothing is written there."""
    return folder.resolve().is_relative_to(model_folder().resolve().parent) or is_downloaded(folder)


def open_directions(model: str | Path | None = None, path: Path | None = None) -> list[Direction]:
    """The saved directions of a model in order; empty where there are none.

    path: default is `stored_file`. Raises `SimulacraError` for a file that is damaged or belongs to another model.
    """
    return _read(path or stored_file(model), model)


def stored_file(model: str | Path | None = None) -> Path:
    """The file that a model's directions are read from: the user's, else the one that came with the model."""
    path = directions_file(model)
    return path if path.exists() else model_folder(model) / FILE


def directions_by_name(model: str | Path | None = None) -> dict[str, Direction]:
    """`open_directions` by name, as recipes need them."""
    return {direction.name: direction for direction in open_directions(model)}


def save_directions(
    directions: Sequence[Direction], model: str | Path | None = None, path: Path | None = None
) -> list[Direction]:
    """Save new directions in place of earlier ones; returns all that are saved, the user's own first.

    The user's own stay as they are: a new direction that nearly equals one is dropped, and one with a used name gets a
    number.
    """
    own = [direction for direction in open_directions(model, path) if direction.own]
    result = list(own)
    for direction in directions:
        if not any(_same(direction, other) for other in own):
            result.append(replace(direction, name=free_name(direction.name, [other.name for other in result])))
    _write(result, model, path)
    return result


def add_direction(direction: Direction, model: str | Path | None = None, path: Path | None = None) -> list[Direction]:
    """Add a user's direction after the earlier ones; returns all. Raises `SimulacraError` for a bad or used name."""
    existing = open_directions(model, path)
    added = replace(direction, name=_check_name(direction.name, existing), own=True)
    result = [*(other for other in existing if other.own), added, *(other for other in existing if not other.own)]
    _write(result, model, path)
    return result


def rename_direction(old: str, new: str, model: str | Path | None = None, path: Path | None = None) -> list[Direction]:
    """Rename a direction, which makes it the user's own; returns all. Raises `SimulacraError` for a wrong name."""
    existing = open_directions(model, path)
    names = [direction.name for direction in existing]
    if old not in names:
        listing = Message("latent.hint_names", names=names) if names else Message("latent.hint_no_directions")
        raise SimulacraError("latent.no_such_direction", name=old, hint=did_you_mean(old, names) or listing)
    name = _check_name(new, [direction for direction in existing if direction.name != old])
    result = [replace(other, name=name, own=True) if other.name == old else other for other in existing]
    _write(result, model, path)
    return result


def _check_name(name: str, existing: Sequence[Direction]) -> str:
    """A valid new name, without spaces around it."""
    stripped = name.strip()
    if not stripped or len(stripped) > MAX_LETTERS or not stripped.isprintable() or "=" in stripped:
        raise SimulacraError("latent.bad_direction_name", name=name, most=MAX_LETTERS)
    if any(direction.name == stripped for direction in existing):
        raise SimulacraError("latent.direction_name_used", name=stripped)
    return stripped


def _same(a: Direction, b: Direction) -> bool:
    return a.layers == b.layers and abs(float(F.cosine_similarity(a.vector, b.vector, dim=0))) >= MAX_COSINE


def _write(directions: Sequence[Direction], model: str | Path | None, path: Path | None) -> None:
    entries = [{key: getattr(direction, key) for key in KEYS} for direction in directions]
    vectors = torch.stack([d.vector.detach().float().cpu() for d in directions]) if directions else torch.zeros(0, 0)
    metadata = {"format": FORMAT, "model": fingerprint(model), "directions": json.dumps(entries, ensure_ascii=False)}
    with atomic_file(path or directions_file(model)) as file:
        file.write(to_bytes({"vectors": vectors.contiguous()}, metadata))


def _read(path: Path, model: str | Path | None) -> list[Direction]:
    if not path.exists():
        return []
    try:
        with safe_open(path, "pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            vectors = file.get_tensor("vectors") if "vectors" in file.keys() else None  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise SimulacraError("latent.not_a_directions_file", path=path, reason=error) from error
    if vectors is None or metadata.get("format") != FORMAT:
        raise SimulacraError("latent.directions_format", path=path, format=FORMAT)
    if metadata.get("model") != fingerprint(model):
        raise SimulacraError(
            "latent.directions_of_another_model", path=path, other=metadata.get("model"), model=fingerprint(model)
        )
    try:
        entries: list[dict[str, Any]] = json.loads(metadata["directions"])
        if vectors.dim() != 2 or not bool(vectors.isfinite().all()):
            raise ValueError("vectors")
        return [_direction(entry, vector) for entry, vector in zip(entries, vectors.unbind(0), strict=True)]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise SimulacraError("latent.directions_damaged", path=path, reason=error) from error


def _direction(entry: dict[str, Any], vector: torch.Tensor) -> Direction:
    layers = entry["layers"]
    return Direction(
        name=str(entry["name"]),
        vector=vector,
        kind=str(entry["kind"]),
        layers=None if layers is None else (int(layers[0]), int(layers[1])),
        about=str(entry["about"]),
        accuracy=None if entry["accuracy"] is None else float(entry["accuracy"]),
        label=str(entry["label"]),
        own=bool(entry["own"]),
    )
