"""How well sliders do what they say: how often moving one flips a classifier's verdict, and how often others keep theirs.

    python benchmarks/directions.py [--model peeps] [--faces 200] [--reach 5] [--directions FILE] [--first 20000000] [--judge 1]

The judge is a classifier trained on the data's real pictures with another seed than the one that the directions were
learned with. Each face is moved away from what it has (glasses off where there are some, on where there are none), in half
steps up to the slider's end, until the judge's verdict flips. The other directions' verdicts are then compared with those
before. Single attributes and axes are judged; of an axis, on which side of its middle a face is. "At ±3" moves all faces by
3, however early they flip.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from simulacra.console import console, tasks
from simulacra.data.dataset import Dataset
from simulacra.generator import Generator, as_generator
from simulacra.latent.attribute_classifier import STEPS, AttributeClassifier, train_classifier
from simulacra.latent.effects import BATCH, draw
from simulacra.latent.recipe import Direction, move
from simulacra.latent.saved import open_directions
from simulacra.latent.traits import Trait, traits
from simulacra.latent.unsupervised import seeds_to_w
from simulacra.measure.model_under_test import model_under_test

FIRST_SEED = 20_000_000  # of the faces: neither looked at nor learned from
JUDGE_SEED = 1  # directions are learned with 0
STEP, FIXED = 0.5, 3.0
FLIPS, KEEPS = 0.8, 0.85  # goals


@torch.no_grad()
def verdicts(generator: Generator, judge: AttributeClassifier, named: list[Trait], w: Tensor) -> Tensor:
    """[N, traits] bool."""
    logits = judge.classify(torch.split(draw(generator, w), BATCH))
    return torch.stack([trait.score(logits) > 0 for trait in named], 1)


def flip_strengths(
    generator: Generator,
    judge: AttributeClassifier,
    named: list[Trait],
    w: Tensor,
    i: int,
    direction: Direction,
    reach: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """The strength at which each face flips [N], NaN where it does not; whether each verdict is then unchanged [N, traits];
    the same at `FIXED` [N, traits]."""
    before = verdicts(generator, judge, named, w)
    sign = torch.where(before[:, i], -1.0, 1.0)
    strengths = torch.arange(1, round(reach / STEP) + 1) * STEP
    flipped, same = torch.full((len(w),), torch.nan), torch.ones_like(before)
    fixed = same
    for strength in strengths.tolist():
        after = verdicts(generator, judge, named, move(generator, w, direction, strength * sign))
        fixed = after == before if strength == FIXED else fixed
        unflipped = flipped.isnan()
        same[unflipped] = (after == before)[unflipped]
        flipped[unflipped & (after[:, i] != before[:, i])] = strength
    return flipped, same, fixed


def main(model: str, faces: int, reach: float, file: Path | None, first: int, seed: int) -> None:
    """Train the judge, judge each direction, print a table."""
    tested = model_under_test(model)
    generator, data = as_generator(tested.load()), tested.dataset()
    assert isinstance(data, Dataset)
    saved = open_directions(model, file)
    with tasks() as begin:
        judge = train_classifier(data, seed=seed, advance=begin("Training the judge", STEPS))
    by_name = {trait.name: trait for trait in traits(data, judge) if trait.kind != "choice"}
    directions = [direction for direction in saved if direction.label in by_name]
    named = [by_name[direction.label] for direction in directions]
    w = seeds_to_w(generator, range(first, first + faces))
    reached = 0
    for i, direction in enumerate(directions):
        flipped, same, fixed = flip_strengths(generator, judge, named, w, i, direction, reach)
        flips, others = float((~flipped.isnan()).float().mean()), [j for j in range(len(directions)) if j != i]
        keeps = [float(same[:, j].float().mean()) for j in others]
        good = flips >= FLIPS and min(keeps) >= KEEPS
        reached += good
        kept = ", ".join(f"{directions[j].name} {keep:.0%}" for j, keep in zip(others, keeps, strict=True))
        console.print(
            f"{direction.name}: flipped {flips:.0%} within ±{reach:g}, median at {flipped.nanmedian():g}; kept: {kept}. "
            f"At ±{FIXED:g}: flipped {1 - float(fixed[:, i].float().mean()):.0%}, kept at least "
            f"{min(float(fixed[:, j].float().mean()) for j in others):.0%}. {'Reached' if good else 'Not reached'}",
            markup=False,
        )
    console.print(
        f"{reached} of {len(directions)} flip ≥ {FLIPS:.0%} of {faces} faces and leave each other at ≥ {KEEPS:.0%}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="peeps")
    parser.add_argument("--faces", type=int, default=200)
    parser.add_argument("--reach", type=float, default=5.0)
    parser.add_argument("--directions", type=Path, default=None)
    parser.add_argument("--first", type=int, default=FIRST_SEED, help="seed of the first face")
    parser.add_argument("--judge", type=int, default=JUDGE_SEED, help="seed of the judge")
    options = parser.parse_args()
    main(options.model, options.faces, options.reach, options.directions, options.first, options.judge)
