"""Pictures from a trained generator, as files: one PNG a seed, or a grid, with their origin inside."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

from simulacra.errors import SimulacraError
from simulacra.files import written_aside
from simulacra.game import Generator, to_image
from simulacra.grid import Grid

KEY = "simulacra"  # of the PNG text that tells where a picture comes from
GRID_SIDE = 9_000  # pixels at most


def parse_seeds(text: str) -> list[int]:
    """`0-99`, `7`, `1,5,10-12` -> the seeds, in order. Raises `SimulacraError` for anything else."""
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
            raise SimulacraError(
                f"{text!r} does not name seeds: write numbers and ranges, such as 7 or 0-99 or 1,5,10-12."
            )
        if int(last or first) >= 2**63:
            raise SimulacraError(f"The seed {last or first} is too large: seeds go up to 2^63 - 1.")
        if int(last or first) - int(first) + len(seeds) >= 10_000_000:
            raise SimulacraError(f"{text!r} names more than ten million seeds: draw them in several goes.")
        seeds.extend(range(int(first), int(last or first) + 1))
    return seeds


def write_pictures(
    generator: Generator,
    out: Path,
    seeds: Sequence[int],
    *,
    model: str,
    truncation: float = 1.0,
    min_latent: float = 0.0,
    each: bool = True,
    grid: bool = False,
    advance: Callable[[int], None] = lambda n: None,
) -> list[Path]:
    """Draw `seeds` into the folder `out`: `seed000007.png` each, and/or `grid.png`; memory stays constant.

    A picture that is already there from the same model, seed and settings is left; one from elsewhere is never
    overwritten: that raises `SimulacraError`, before anything is drawn. model: the fingerprint to record.
    """
    origin = {"model": model, "truncation": truncation, "min_latent": min_latent}
    names = {seed: out / f"seed{seed:06d}.png" for seed in seeds} if each else {}
    labels = {path: origin | {"seed": seed} for seed, path in names.items()}
    grid_path = out / "grid.png"
    if grid:
        labels[grid_path] = origin | {"seeds": _spans(seeds)}
    kept = {path for path, label in labels.items() if _is_there(path, label)}
    if grid and max(generator.shape[1:]) * len(seeds) ** 0.5 > GRID_SIDE:
        raise SimulacraError(
            f"A grid of {len(seeds)} pictures would be over {GRID_SIDE} pixels a side: ask for fewer seeds."
        )
    whole = Grid(len(seeds), generator.shape) if grid else None
    waiting = iter(seeds)
    for batch in generator.pictures(seeds, truncation=truncation, min_latent=min_latent):
        for picture, seed in zip(batch, waiting, strict=False):
            if each and names[seed] not in kept:
                _write(to_image(picture), names[seed], labels[names[seed]])
            if whole:
                whole.add(picture)
        advance(len(batch))
    if whole and grid_path not in kept:
        _write(whole.image(), grid_path, labels[grid_path])
    return list(labels)


def origin(path: Path) -> dict[str, Any] | None:
    """What a picture says of where it comes from (model, seed, settings), or None."""
    try:
        with Image.open(path) as image:
            text = getattr(image, "text", {}).get(KEY)
        told = json.loads(text) if text else None
    except (OSError, ValueError, SyntaxError):
        return None
    return told if isinstance(told, dict) else None


def _is_there(path: Path, label: dict[str, Any]) -> bool:
    if not path.exists():
        return False
    if origin(path) != label:
        raise SimulacraError(f"{path} exists and is another picture: choose another folder, or move it away.")
    return True


def _write(image: Image.Image, path: Path, label: dict[str, Any]) -> None:
    told = PngImagePlugin.PngInfo()
    told.add_text(KEY, json.dumps(label))
    with written_aside(path) as file:
        image.save(file, "PNG", pnginfo=told)


def _spans(seeds: Sequence[int]) -> str:
    """`[0, 1, 2, 7]` -> `0-2,7`."""
    spans: list[list[int]] = []
    for seed in seeds:
        if spans and seed == spans[-1][1] + 1:
            spans[-1][1] = seed
        else:
            spans.append([seed, seed])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)
