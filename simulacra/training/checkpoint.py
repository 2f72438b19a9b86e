"""Checkpoints: written whole or not at all, thinned out, and read back without unpickling."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch

from simulacra.errors import SimulacraError
from simulacra.files import discard, folder_written_aside
from simulacra.model import checkpoints, save_model
from simulacra.training.ema import EMA

KEPT_EPOCHS = 100  # the first checkpoint of each hundredth epoch is kept for good


def save(
    run: Path, nimg: int, ema: EMA, state: dict[str, Any], *, gan: str, config: Any, about: dict[str, Any]
) -> Path:
    """Write `checkpoints/NIMG/`: the averaged generator as a model folder, and `state.pt` for an exact resume."""
    final = run / "checkpoints" / f"{nimg:09d}"
    if final.exists():
        return final  # the same plays end in the same state
    with folder_written_aside(final) as aside:
        save_model(ema.average, aside, gan=gan, config=config, about=about)
        torch.save(state, aside / "state.pt")
    return final


def load(checkpoint: Path, device: torch.device) -> dict[str, Any]:
    """The state kept in a checkpoint. Raises `SimulacraError` when it is damaged."""
    try:
        with zipfile.ZipFile(checkpoint / "state.pt") as archive:
            if damaged := archive.testzip():  # torch reads on over a wrong checksum
                raise ValueError(f"{damaged} in it has changed")
        state: dict[str, Any] = torch.load(checkpoint / "state.pt", map_location=device, weights_only=True)
    except Exception as error:  # damaged bytes can make the reader stumble over anything
        why = str(error).partition("\n")[0] or type(error).__name__
        raise SimulacraError(
            f"{checkpoint / 'state.pt'} cannot be read ({why}): delete the folder {checkpoint} "
            "and the run goes on from the checkpoint before it."
        ) from error
    return state


def thin_out(run: Path, *, images_per_epoch: int, budget: float | None) -> None:
    """Delete what need not be kept: all but the last two and each hundredth epoch's first.

    budget: bytes that the checkpoints may take in all; within it every one is kept, and over it the older of
    the two nearest neighbours goes first, so that what remains is spread over the run. The last two stay.
    """
    kept = checkpoints(run)
    if budget is None:
        seen: set[int] = {0}
        for path in kept[:-2]:
            hundred = int(path.name) // (KEPT_EPOCHS * images_per_epoch)
            if hundred in seen:
                discard(path)
            seen.add(hundred)
        return
    sizes = {path: sum(file.stat().st_size for file in path.iterdir()) for path in kept}
    while sum(sizes[path] for path in kept) > budget and len(kept) > 2:
        times = [int(path.name) for path in kept]
        gaps = [times[i + 1] - (times[i - 1] if i else 0) for i in range(len(kept) - 2)]
        discard(kept.pop(gaps.index(min(gaps))))
