"""Checkpoints: written atomically, thinned out, and read back by an allow-listed reader."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import torch

from simulacra.errors import SimulacraError
from simulacra.files import atomic_file, atomic_folder, discard
from simulacra.gan import GAN
from simulacra.storage import checkpoints, save_model
from simulacra.training.ema import EMA

HUNDRED = 100  # epochs; the first checkpoint of each hundred is kept as a model
MODELS = 20  # other checkpoints kept as models, at most
BEST = 3  # best checkpoints kept


def save(run: Path, nimg: int, ema: EMA, gan: GAN, state: dict[str, Any], *, about: dict[str, Any]) -> Path:
    """Write `checkpoints/NIMG/`: the averaged generator and D as a model folder, and `state.pt` for an exact resume."""
    final = run / "checkpoints" / f"{nimg:09d}"
    if final.exists():  # the same steps lead to the same state
        if not (final / "state.pt").exists():
            with atomic_file(final / "state.pt") as file:
                torch.save(state, file)
        return final
    with atomic_folder(final) as aside:
        save_model(ema.average, aside, gan=gan.name, config=gan.config, about=about, D=gan.D)
        torch.save(state, aside / "state.pt")
    return final


def load(checkpoint: Path, device: torch.device) -> dict[str, Any]:
    """The state in a checkpoint. Raises `SimulacraError` when it is damaged."""
    try:
        with zipfile.ZipFile(checkpoint / "state.pt") as archive:
            if damaged := archive.testzip():  # torch ignores a wrong checksum
                raise ValueError(f"{damaged} in it has changed")
        state: dict[str, Any] = torch.load(checkpoint / "state.pt", map_location=device, weights_only=True)
    except Exception as error:  # damaged bytes can raise anything in the reader
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise SimulacraError(
            "train.damaged_state", path=checkpoint / "state.pt", folder=checkpoint, reason=reason
        ) from error
    return state


def resumable(run: Path) -> list[Path]:
    """A run's checkpoints that hold the state of an exact resume, oldest first."""
    return [path for path in checkpoints(run) if (path / "state.pt").is_file()]


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
