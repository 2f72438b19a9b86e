"""Several edits as one direction, so that what somebody found by moving sliders gets a name and a slider of its own."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from simulacra.errors import SimulacraError
from simulacra.generator import Generator, Layers
from simulacra.latent.recipe import Direction, Edit, known, strength

KIND = "combination"
NOTHING = 1e-6  # of the length of what was put together, below which nothing is left of it


def combined(
    generator: Generator, name: str, edits: Mapping[str, Edit], directions: Mapping[str, Direction]
) -> Direction:
    """The edits as one direction, whose strength 1 is all of them as they are.

    So a picture with these edits is the same picture with the new direction at 1. Raises `SimulacraError` where there is
    nothing to put together, and where the edits act in different layers, which one direction cannot.
    """
    moved = {each: edit for each, edit in edits.items() if edit.strength}
    if not moved:
        raise SimulacraError("No slider is moved: move some first, then keep what they do together.")
    parts, where = [], set()
    for each, edit in moved.items():
        direction = known(each, directions)
        parts.append(direction.vector.float() * strength(edit.strength, each))
        where.add(_everywhere(generator, edit.layers or direction.layers))
    if len(where) > 1:
        raise SimulacraError(
            "These sliders act in different layers, and one direction acts in one range of them: give all the same layers."
        )
    vector = torch.stack(parts).sum(0)
    if float(vector.norm()) < NOTHING * sum(float(part.norm()) for part in parts):
        raise SimulacraError("These sliders undo each other: together they change nothing.")
    about = ", ".join(f"{each} {edit.strength:+.3g}" for each, edit in moved.items())
    return Direction(name=name, vector=vector, kind=KIND, layers=where.pop(), about=about, own=True)


def _everywhere(generator: Generator, layers: Layers) -> Layers:
    """None where a range holds all layers, which is the same."""
    return None if layers == (0, generator.num_ws) else layers
