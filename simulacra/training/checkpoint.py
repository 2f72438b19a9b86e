"""Checkpoints: written atomically, thinned out, and read back by an allow-listed reader."""

from __future__ import annotations

import copy
import pickle
import zipfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from simulacra.config import to_json
from simulacra.errors import SimulacraError
from simulacra.files import atomic_file, atomic_folder, discard, read_json
from simulacra.gan import GAN
from simulacra.messages import Message
from simulacra.storage import checkpoint_folders, checkpoints, load_weights, save_model
from simulacra.training.ema import EMA

HUNDRED = 100  # epochs; the first checkpoint of each hundred is kept as a model
MODELS = 20  # other checkpoints kept as models, at most
BEST = 3  # best checkpoints kept


def save(run: Path, nimg: int, ema: EMA, gan: GAN, state: dict[str, Any], *, about: dict[str, Any]) -> Path:
    """Write `checkpoints/NIMG/`: the averaged generator and D as a model folder, and `state.pt` for an exact resume.

    The files of an existing one that are not whole, or not of this model, are written anew: its state at once, and the
    model's only after it, so that a kill leaves what a resume needs.
    """
    final = run / "checkpoints" / f"{nimg:09d}"
    if final.exists():
        if not _is_readable(final / "state.pt"):
            with atomic_file(final / "state.pt") as file:
                torch.save(state, file)
        if not holds_model(final, ema.average, gan):
            save_model(ema.average, final, gan=gan.name, config=gan.config, about=about, D=gan.D)
        return final
    with atomic_folder(final) as aside:
        save_model(ema.average, aside, gan=gan.name, config=gan.config, about=about, D=gan.D)
        torch.save(state, aside / "state.pt")
    return final


def holds_model(folder: Path, G: nn.Module, gan: GAN) -> bool:
    """Whether a checkpoint is a whole model: of the settings of `gan`, with the weights `G` and, if it has any, `gan.D`."""
    try:
        about = read_json(folder / "config.json")
    except SimulacraError:
        return False
    config, own = about.get("config") if isinstance(about, dict) else None, to_json(gan.config)
    if not isinstance(config, dict) or not {"format", "gan", "classes"} <= about.keys():
        return False
    if any(own.get(name, value) != value for name, value in config.items()):
        return False
    networks = {"G": G} | ({"D": gan.D} if (folder / "D.safetensors").exists() else {})
    return all(_same_weights(network, folder / f"{player}.safetensors") for player, network in networks.items())


def _same_weights(network: nn.Module, path: Path) -> bool:
    """Whether a safetensors file holds the weights of a network."""
    own = network.state_dict()
    stored = copy.deepcopy(network)
    try:
        load_weights(stored, path)
    except SimulacraError:
        return False
    return all(bool((value == own[name]).all()) for name, value in stored.state_dict().items())


def _is_readable(path: Path) -> bool:
    """Whether a state is a whole archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False


def load(checkpoint: Path, device: torch.device) -> dict[str, Any]:
    """The state in a checkpoint. Raises `SimulacraError` when it is damaged."""
    try:
        with zipfile.ZipFile(checkpoint / "state.pt") as archive:
            if damaged := archive.testzip():  # torch ignores a wrong checksum
                raise ValueError(f"{damaged} in it has changed")
        state: dict[str, Any] = torch.load(checkpoint / "state.pt", map_location=device, weights_only=True)
    except Exception as error:  # damaged bytes can raise anything in the reader
        raise _damaged_state(checkpoint, error) from error
    return state


def restore(checkpoint: Path, device: torch.device, load_state_dict: Callable[[dict[str, Any]], None]) -> None:
    """Load the state of a checkpoint. Raises `SimulacraError` when it is damaged, or of other networks."""
    state = load(checkpoint, device)
    try:
        load_state_dict(state)
    except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise _damaged_state(checkpoint, error) from error


def restore_last(run: Path, device: torch.device, load_state_dict: Callable[[dict[str, Any]], None]) -> None:
    """Load the last checkpoint with a state, if there is one. Raises `SimulacraError` as `restore` does."""
    if existing := resumable(run):
        restore(existing[-1], device, load_state_dict)


def _damaged_state(checkpoint: Path, error: Exception) -> SimulacraError:
    """The error for a state that cannot be read, or not by this GAN."""
    reason: Message | str = str(error).partition("\n")[0] or type(error).__name__
    if isinstance(error, pickle.UnpicklingError):  # torch's own sentence is how to turn the safety off
        reason = Message("train.state_is_code")
    elif isinstance(error, KeyError):
        reason = Message("train.state_lacks", name=str(error.args[0]) if error.args else "")
    run = checkpoint.parent.parent
    return SimulacraError("train.damaged_state", path=checkpoint / "state.pt", run=run, reason=reason)


def resumable(run: Path) -> list[Path]:
    """A run's checkpoints that hold the state of an exact resume, oldest first."""
    return [path for path in checkpoint_folders(run) if (path / "state.pt").is_file()]


def thin_out(
    run: Path,
    *,
    images_per_epoch: int,
    budget: float | None,
    best: Sequence[int] = (),
    whole: Collection[int] = (),
) -> None:
    """Delete superfluous states and checkpoints.

    The last two checkpoints and those of `whole` (nimg) keep the state of an exact resume, which is most of their
    size. Others remain as models: at most `MODELS` spread over the run, the first of each hundred epochs, and the
    `best` (nimg, best first).

    budget: bytes of all checkpoints together. Above it models are deleted in this order: those spread over the run,
    the first of each hundred epochs, the second and third best. The best, the last two and `whole` always remain.
    """
    remaining = checkpoints(run)
    protected = {path for path in remaining if int(path.name) in whole} | set(remaining[-2:])
    for path in remaining:
        if path not in protected:
            (path / "state.pt").unlink(missing_ok=True)
    sizes = {path: sum(file.stat().st_size for file in path.iterdir()) for path in remaining}
    by_nimg = {int(path.name): path for path in remaining}
    ranked = [by_nimg[nimg] for nimg in best[:BEST] if nimg in by_nimg]
    firsts = {int(path.name) // (HUNDRED * images_per_epoch): path for path in reversed(remaining)}
    hundreds = [path for number, path in firsts.items() if number and path not in protected and path not in ranked]
    others = [path for path in remaining if path not in protected and path not in ranked and path not in hundreds]

    def over_budget() -> bool:
        return budget is not None and sum(sizes[path] for path in remaining) > budget

    def delete(path: Path) -> None:
        discard(path)
        remaining.remove(path)

    while others and (len(others) > MODELS or over_budget()):
        delete(others.pop(_most_crowded(others, remaining)))
    while hundreds and over_budget():
        delete(hundreds.pop(_most_crowded(hundreds, remaining)))
    for path in reversed(ranked[1:]):
        if path not in protected and over_budget():
            delete(path)


def _most_crowded(paths: list[Path], remaining: list[Path]) -> int:
    """Index in `paths` of the checkpoint whose neighbours in `remaining` are closest to each other in time."""
    times = [0, *(int(path.name) for path in remaining)]
    gaps = {path: times[min(i + 2, len(times) - 1)] - times[i] for i, path in enumerate(remaining)}
    return min(range(len(paths)), key=lambda i: gaps[paths[i]])
