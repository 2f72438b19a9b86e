"""`simulacra fork`: a new run that begins at the exact state of another one's checkpoint, with other settings.

A resume is exact to the bit, so two continuations of one state differ by their settings alone, and a fork without a
change continues as its parent does. It holds the journal, scores and previews up to that moment, which decide health,
patience and film; its `config.json` names the parent.
"""

from __future__ import annotations

import io
import itertools
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import torch

from simulacra.config import spelled, to_json, updated
from simulacra.errors import SimulacraError, near_path
from simulacra.files import atomic_folder, read_json, write_json
from simulacra.gan import GAN
from simulacra.measure.choose import read_score_lines
from simulacra.registry import find_stored
from simulacra.storage import fingerprint, stored_settings
from simulacra.training import balance, checkpoint, rollback
from simulacra.training.journal import read_journal
from simulacra.training.plan import Values
from simulacra.training.pretrained import FOLDER
from simulacra.training.run_records import ForkRecord, read_run

CPU = torch.device("cpu")
AUGMENT = "augment."  # state of the augmentation, which may begin or end with a fork


def fork(run: str | Path, name: str | Path | None = None, *, at: str | int | None = None, settings: Values) -> Path:
    """Make a run that begins at a checkpoint of another one; returns its folder. Train it as any run.

    name: beside the parent, or a path; by default RUN-fork, with a number where that exists. at: the checkpoint, by the
    images shown; by default the last one. settings: those of the GAN that change.

    Raises `SimulacraError` for what is no run, a checkpoint without a state, a folder that exists, and a setting that is
    unknown, has no effect, or would change the networks or the optimizer's state.
    """
    parent = Path(run).expanduser()
    stored = read_run(parent)
    if stored is None:
        raise SimulacraError("train.no_run", run=parent, hint=near_path(parent))
    source = _checkpoint(parent, at)
    folder = _folder(parent, name)
    kind, record = find_stored(stored, trusted=True), cast(dict[str, Any], stored)
    old = stored_settings(kind, record, parent / "config.json", of=kind.name)
    new = updated(old, settings, of=kind.name)
    balance.make(new.balance, critic=kind.critic)
    before, after = to_json(old), to_json(new)
    changes = {key: value for key, value in after.items() if before[key] != value}
    idle = kind.idle_settings(new)
    for key in changes.keys() & idle.keys():
        raise SimulacraError("gan.idle_setting", gan=kind.name, name=key, reason=idle[key])
    state = checkpoint.load(source, CPU)
    if changes:
        state = _changed(state, kind(old), kind(new), changes)
    origin = ForkRecord(run=str(parent.resolve()), checkpoint=source.name, hash=fingerprint(source), changes=changes)
    with atomic_folder(folder) as aside:
        _write_checkpoint(source, aside / "checkpoints" / source.name, state, after if changes else None)
        _copy_history(parent, aside, int(source.name))
        write_json(aside / "config.json", record | {"config": record["config"] | changes, "fork": origin})
    return folder


def _checkpoint(run: Path, at: str | int | None) -> Path:
    """The checkpoint after `at` images, or the last one. Raises `SimulacraError` where it has no state."""
    able = {int(path.name): path for path in checkpoint.resumable(run)}
    if not able:
        raise SimulacraError("train.no_states", folder=run)
    if at is None:
        return able[max(able)]
    word = Path(str(at)).name
    if not word.isdecimal() or int(word) not in able:
        raise SimulacraError("train.fork_without_state", run=run, at=at, able=[str(nimg) for nimg in able])
    return able[int(word)]


def _folder(parent: Path, name: str | Path | None) -> Path:
    """The fork's folder, which must not exist."""
    if name is None:
        own = f"{parent.resolve().name}-fork"
        names = itertools.chain([own], (f"{own}-{number}" for number in itertools.count(2)))
        return next(folder for each in names if not (folder := parent.parent / each).exists())
    path = Path(name).expanduser()
    folder = parent.parent / path if len(path.parts) == 1 and not str(name).startswith(".") else path
    if folder.exists():
        raise SimulacraError("train.fork_exists", folder=folder)
    return folder


def _changed(state: dict[str, Any], old: GAN, new: GAN, changes: Mapping[str, Any]) -> dict[str, Any]:
    """A state for other settings: the weights and moments as they are, and what the settings fix as they say.

    Raises `SimulacraError` where the networks or the optimizer's state would be others.
    """
    words = [f"{key}={spelled(value)}" for key, value in changes.items()]
    fresh = new.state_dict()
    kept = {key: value for key, value in state["gan"].items() if not key.startswith(AUGMENT)}
    wanted = {key: value for key, value in fresh.items() if not key.startswith(AUGMENT)}
    if _shapes(kept) != _shapes(wanted) or _shapes(state["ema"]) != _shapes(new.G.state_dict()):
        raise SimulacraError("train.fork_other_networks", changes=words)
    augment = {key: value for key, value in fresh.items() if key.startswith(AUGMENT)}
    stored = {key: value for key, value in state["gan"].items() if augment.keys() >= {key}}
    augment |= {key: value for key, value in stored.items() if value.shape == augment[key].shape}
    optimizers = {
        player: _regrouped(state["optimizers"][player], optimizer.state_dict(), new.optimizers()[player].state_dict())
        for player, optimizer in old.optimizers().items()
    }
    if None in optimizers.values():
        raise SimulacraError("train.fork_other_optimizer", changes=words)
    state = state | {"gan": kept | augment, "optimizers": optimizers}
    if "balance" in changes:
        state["balance"] = balance.make(new.config.balance, critic=new.critic).state_dict()
    return state


def _regrouped(state: dict[str, Any], old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any] | None:
    """An optimizer's state with the numbers of its groups that the settings change; None for another optimizer."""
    groups = []
    for group, before, after in zip(state["param_groups"], old["param_groups"], new["param_groups"], strict=False):
        if before.keys() != after.keys() or before["params"] != after["params"]:
            return None
        groups.append(group | {key: value for key, value in after.items() if before[key] != value})
    return state | {"param_groups": groups} if len(groups) == len(new["param_groups"]) else None


def _shapes(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in tensors.items()}


def _write_checkpoint(source: Path, target: Path, state: dict[str, Any], settings: dict[str, Any] | None) -> None:
    """Copy a checkpoint; where settings changed, its state and the settings of its model are the new ones."""
    target.mkdir(parents=True)
    for file in source.iterdir():
        if file.is_file() and file.name not in ("state.pt", "config.json"):
            shutil.copyfile(file, target / file.name)
    about = read_json(source / "config.json")
    if settings is None:
        shutil.copyfile(source / "state.pt", target / "state.pt")
    else:
        buffer = io.BytesIO()
        torch.save(state, buffer)
        (target / "state.pt").write_bytes(buffer.getvalue())
        about["config"] = about["config"] | settings
    write_json(target / "config.json", about)


def _copy_history(parent: Path, folder: Path, nimg: int) -> None:
    """Copy what the parent wrote up to `nimg` images, and the model that it started from."""
    _write_lines(folder / "journal.jsonl", [n for n in read_journal(parent / "journal.jsonl") if n["nimg"] <= nimg])
    _write_lines(folder / "scores.jsonl", [n for n in read_score_lines(parent) if n["nimg"] <= nimg])
    before = [record for record in rollback.read_rollbacks(parent) if record["to"] <= nimg]  # they decide the seed
    _write_lines(folder / rollback.FILE, before)
    (folder / "previews").mkdir()
    for path in (parent / "previews").glob("*.png"):
        if not path.stem.isdecimal() or int(path.stem) <= nimg:
            shutil.copyfile(path, folder / "previews" / path.name)
    if (parent / FOLDER).is_dir():
        shutil.copytree(parent / FOLDER, folder / FOLDER)


def _write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    if text := "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines):
        path.write_text(text, encoding="utf-8")
