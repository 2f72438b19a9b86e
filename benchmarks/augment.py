"""What augmentation costs: a game's step with none, diff and ada (p held at 0.5), in turns in one process.

    python benchmarks/augment.py [--games dcgan,stylegan2] [--side 32] [--batch 32] [--rounds 10] [--threads 2]

A step is as many plays of D as the game has, and one of G, in seconds of the processor: what else runs on the machine
does not count. The ratio is the median over the rounds, in each of which all take their turn.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from simulacra.augment.ada import Adaptive
from simulacra.data.dataset import Dataset
from simulacra.data.feed import Feed
from simulacra.registry import configured, gans
from simulacra.settings import AUGMENTATIONS
from simulacra.training.trainer import Trainer

CPU = torch.device("cpu")
P, WANTED = 0.5, 1.15
WAYS: dict[str, dict[str, Any]] = {
    "none": {},
    "diff": {"augment": "diff"},
    "ada": {"augment": "ada"},
    "ada, all kinds": {"augment": "ada", "augment_kinds": AUGMENTATIONS["ada"]},
}
SMALL = {"dcgan": {"features": 32}}  # so that a step takes no longer than it must for the comparison


def trainer(game: str, way: str, side: int, batch: int, folder: Path) -> Trainer:
    """A trainer on noise, with the augmentation at its working point."""
    pictures = np.random.default_rng(0).integers(0, 256, (4 * batch, side, side, 3), np.uint8)
    data = Dataset("noise", None, pictures, None, (), (), {"train": len(pictures), "valid": 0, "test": 0}, "")
    gan, config = configured(game, (3, side, side), {"batch": batch} | SMALL.get(game, {}) | WAYS[way])
    built = gan(gan.resolve(config, 1_000_000)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    made = Trainer(built, Feed(data, CPU, seed=0), folder, seed=0)
    hold(made)
    return made


def hold(made: Trainer) -> None:
    """Keep ada's p where it is measured."""
    if isinstance(made.gan.augment, Adaptive):
        made.gan.augment.p.fill_(P)


def step(made: Trainer) -> float:
    """Seconds of the processor until G has played once."""
    began, before = time.process_time(), made.steps["G"]
    while made.steps["G"] == before:
        made.step()
    hold(made)
    return time.process_time() - began


def main() -> None:
    """Measure each game, print a table."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--games", default=",".join(name for name in ("dcgan", "stylegan2") if name in gans()))
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int)
    asked = parser.parse_args()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    print(f"{asked.side} px, batch {asked.batch}, {torch.get_num_threads()} threads, p {P}, {asked.rounds} rounds")
    print("| game | augment | ms a step | ratio (min-max) |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for game in asked.games.split(","):
            made = {way: trainer(game, way, asked.side, asked.batch, Path(folder)) for way in WAYS}
            for each in made.values():
                step(each)
            taken = [{way: step(each) for way, each in made.items()} for _ in range(asked.rounds)]
            for way in WAYS:
                ratios = [times[way] / times["none"] for times in taken]
                spread = f"{statistics.median(ratios):.3f} ({min(ratios):.2f}-{max(ratios):.2f})"
                print(
                    f"| {game} | {way} | {1000 * statistics.median(t[way] for t in taken):.1f} | {spread} |", flush=True
                )
    print(f"At most {WANTED} is wanted of diff and ada.")


if __name__ == "__main__":
    main()
