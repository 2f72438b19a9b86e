"""Checkpoints: written whole or not at all, thinned out, and read back without unpickling."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import torch

from simulacra.errors import SimulacraError
from simulacra.files import discard, folder_written_aside, written_aside
from simulacra.storage import checkpoints, save_model
from simulacra.training.ema import EMA

KEPT_EPOCHS = 100  # the first checkpoint of each hundredth epoch is kept for good, as a model
MODELS = 20  # of the others, at most so many stay as models
BEST = 3  # the best so many stay


def save(
    run: Path, nimg: int, ema: EMA, state: dict[str, Any], *, gan: str, config: Any, about: dict[str, Any]
) -> Path:
    """Write `checkpoints/NIMG/`: the averaged generator as a model folder, and `state.pt` for an exact resume."""
    final = run / "checkpoints" / f"{nimg:09d}"
    if final.exists():  # the same plays end in the same state
        if not (final / "state.pt").exists():
            with written_aside(final / "state.pt") as file:
                torch.save(state, file)
        return final
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
    """Delete what need not be kept.

    The last two checkpoints and those of `whole` (nimg) keep the state of an exact resume, which is most of their
    size; the others stay as models: at most `MODELS` spread over the run, each hundredth epoch's first, and the
    `best` (nimg, best first).

    budget: bytes that the checkpoints may take in all. Over it the models in between go first, then the hundredth
    epochs', then the best but one; the best, the last two and `whole` stay.
    """
    kept = checkpoints(run)
    stay = {path for path in kept if int(path.name) in whole} | set(kept[-2:])
    for path in kept:
        if path not in stay:
            (path / "state.pt").unlink(missing_ok=True)
    sizes = {path: sum(file.stat().st_size for file in path.iterdir()) for path in kept}
    places = {int(path.name): path for path in kept}
    ranked = [places[nimg] for nimg in best[:BEST] if nimg in places]
    firsts = {int(path.name) // (KEPT_EPOCHS * images_per_epoch): path for path in reversed(kept)}
    hundredths = [path for number, path in firsts.items() if number and path not in stay and path not in ranked]
    between = [path for path in kept if path not in stay and path not in ranked and path not in hundredths]

    def over() -> bool:
        return budget is not None and sum(sizes[path] for path in kept) > budget

    def drop(path: Path) -> None:
        discard(path)
        kept.remove(path)

    while between and (len(between) > MODELS or over()):
        drop(between.pop(_most_crowded(between, kept)))
    while hundredths and over():
        drop(hundredths.pop(_most_crowded(hundredths, kept)))
    for path in reversed(ranked[1:]):
        if path not in stay and over():
            drop(path)


def _most_crowded(paths: list[Path], kept: list[Path]) -> int:
    """Which of `paths` has its neighbours among `kept` nearest to each other: what it shows is shown by them."""
    times = [0, *(int(path.name) for path in kept)]
    gaps = {path: times[min(i + 2, len(times) - 1)] - times[i] for i, path in enumerate(kept)}
    return min(range(len(paths)), key=lambda i: gaps[paths[i]])
