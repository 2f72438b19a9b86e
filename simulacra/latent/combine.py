"""Several edits combined into one direction, so that a set of moved sliders gets a name and a slider of its own."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from simulacra.errors import SimulacraError
from simulacra.generator import Generator, Layers
from simulacra.latent.recipe import Direction, Edit, check_strength, find_direction

KIND = "combination"
CANCELLED = 1e-6  # share of the edits' total length below which their sum counts as zero


def combine(
    generator: Generator, name: str, edits: Mapping[str, Edit], directions: Mapping[str, Direction]
) -> Direction:
    """A direction whose strength 1 is the sum of the edits, so both give the same picture.

    Raises `SimulacraError` where no slider is moved, where edits act in different layers, and where they cancel out.
    """
    nonzero = {slider: edit for slider, edit in edits.items() if edit.strength}
    if not nonzero:
        raise SimulacraError("latent.no_slider_moved")
    steps, ranges = [], set()
    for slider, edit in nonzero.items():
        direction = find_direction(slider, directions)
        steps.append(direction.vector.float() * check_strength(edit.strength, slider))
        ranges.add(_normalise(generator, edit.layers or direction.layers))
    if len(ranges) > 1:
        raise SimulacraError("latent.sliders_in_different_layers")
    vector = torch.stack(steps).sum(0)
    if float(vector.norm()) < CANCELLED * sum(float(step.norm()) for step in steps):
        raise SimulacraError("latent.sliders_cancel_out")
    about = ", ".join(f"{slider} {edit.strength:+.3g}" for slider, edit in nonzero.items())
    return Direction(name=name, vector=vector, kind=KIND, layers=ranges.pop(), about=about, own=True)


def _normalise(generator: Generator, layers: Layers) -> Layers:
    """None for a range of all layers, which means the same."""
    return None if layers == (0, generator.num_ws) else layers
