"""Whether sliders do what they say: how often moving one flips a reader's verdict, and how often the others keep theirs.

    python benchmarks/directions.py [--model peeps] [--faces 200] [--reach 5] [--directions FILE] [--first 20000000] [--judge 1]

The judge is a reader trained on the data's real pictures with another seed than the one that the directions were learned
with. Each face is moved away from what it has (glasses off where there are some, on where there are none) in half steps up
to the slider's end until the judge's verdict flips, as a person would; the other directions' verdicts are then compared
with those before. Judged are single attributes and axes; of an axis, on which side of its middle a face is. "At ±3" moves all
faces by 3, however early they flip.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from simulacra.console import console, tasks
from simulacra.data.dataset import Dataset
from simulacra.generator import Generator, as_generator
from simulacra.latent.attribute_classifier import STEPS, Reader, fit_reader
from simulacra.latent.effects import AT_ONCE, render
from simulacra.latent.recipe import Direction, moved
from simulacra.latent.saved import open_directions
from simulacra.latent.traits import Trait, traits
from simulacra.latent.unsupervised import embedded
from simulacra.measure.model_under_test import model_under_test

FIRST = 20_000_000  # the faces' seeds: neither looked at nor learned from
JUDGE = 1  # the judge's seed; directions are learned with 0
STEP, FIXED = 0.5, 3.0
FLIPS, KEEPS = 0.8, 0.85  # goals


@torch.no_grad()
def verdicts(generator: Generator, judge: Reader, named: list[Trait], w: Tensor) -> Tensor:
    """[N, traits] bool."""
    logits = judge.read(torch.split(render(generator, w), AT_ONCE))
    return torch.stack([trait.score(logits) > 0 for trait in named], 1)


def judged(
    generator: Generator, judge: Reader, named: list[Trait], w: Tensor, i: int, direction: Direction, reach: float
) -> tuple[Tensor, Tensor, Tensor]:
    """(the strength at which each face flips [N], NaN where it does not; whether each verdict is then as it was [N,
    traits]; the verdicts at `FIXED` as they were [N, traits])."""
    before = verdicts(generator, judge, named, w)
    way = torch.where(before[:, i], -1.0, 1.0)
    strengths = torch.arange(1, round(reach / STEP) + 1) * STEP
    flipped, same = torch.full((len(w),), torch.nan), torch.ones_like(before)
    fixed = same
    for strength in strengths.tolist():
        after = verdicts(generator, judge, named, moved(generator, w, direction, strength * way))
        fixed = after == before if strength == FIXED else fixed
        going = flipped.isnan()
        same[going] = (after == before)[going]
        flipped[going & (after[:, i] != before[:, i])] = strength
    return flipped, same, fixed


def main(model: str, faces: int, reach: float, file: Path | None, first: int, seed: int) -> None:
    """Train the judge, judge each direction, print a table."""
    it = model_under_test(model)
    generator, data = as_generator(it.load()), it.dataset()
    assert isinstance(data, Dataset)
    kept = open_directions(model, file)
    with tasks() as begin:
        judge = fit_reader(data, seed=seed, advance=begin("Training the judge", STEPS))
    known = {trait.name: trait for trait in traits(data, judge) if trait.kind != "choice"}
    found = [direction for direction in kept if direction.label in known]
    named = [known[direction.label] for direction in found]
    w = embedded(generator, range(first, first + faces))
    reached = 0
    for i, direction in enumerate(found):
        flipped, same, fixed = judged(generator, judge, named, w, i, direction, reach)
        flips, others = float((~flipped.isnan()).float().mean()), [j for j in range(len(found)) if j != i]
        keeps = [float(same[:, j].float().mean()) for j in others]
        good = flips >= FLIPS and min(keeps) >= KEEPS
        reached += good
        told = ", ".join(f"{found[j].name} {keep:.0%}" for j, keep in zip(others, keeps, strict=True))
        console.print(
            f"{direction.name}: flipped {flips:.0%} within ±{reach:g}, at {flipped.nanmedian():g} in the middle; kept: {told}. "
            f"At ±{FIXED:g}: flipped {1 - float(fixed[:, i].float().mean()):.0%}, kept at least "
            f"{min(float(fixed[:, j].float().mean()) for j in others):.0%}. {'Reached' if good else 'Not reached'}",
            markup=False,
        )
    console.print(
        f"{reached} of {len(found)} flip ≥ {FLIPS:.0%} of {faces} faces and leave each other at ≥ {KEEPS:.0%}"
    )


if __name__ == "__main__":
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--model", default="peeps")
    words.add_argument("--faces", type=int, default=200)
    words.add_argument("--reach", type=float, default=5.0)
    words.add_argument("--directions", type=Path, default=None)
    words.add_argument("--first", type=int, default=FIRST, help="the first face's seed")
    words.add_argument("--judge", type=int, default=JUDGE, help="the judge's seed")
    told = words.parse_args()
    main(told.model, told.faces, told.reach, told.directions, told.first, told.judge)
