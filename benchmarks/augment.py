"""The cost of augmentation: a GAN's step with none, diff and ada (p fixed at 0.5), alternately in one process.

    python benchmarks/augment.py [--gans dcgan,stylegan2] [--side 32] [--batch 32] [--rounds 10] [--threads 2]

A step is one of G with its steps of D, in seconds of processor time: other processes do not count. The ratio is the
median over the rounds; each round measures every way once.
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

from simulacra.augment.ada import AdaptiveAugment
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
SMALL = {"dcgan": {"features": 32}}  # steps short enough for many rounds


def make_trainer(name: str, way: str, side: int, batch: int, folder: Path) -> Trainer:
    """A trainer on noise, with the augmentation at its working point."""
    pictures = np.random.default_rng(0).integers(0, 256, (4 * batch, side, side, 3), np.uint8)
    data = Dataset("noise", None, pictures, None, (), (), {"train": len(pictures), "valid": 0, "test": 0}, "")
    gan, config = configured(name, (3, side, side), {"batch": batch} | SMALL.get(name, {}) | WAYS[way])
    built = gan(gan.resolve(config, 1_000_000)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    trainer = Trainer(built, Feed(data, CPU, seed=0), folder, seed=0)
    hold(trainer)
    return trainer


def hold(trainer: Trainer) -> None:
    """Fix ada's p."""
    if isinstance(trainer.gan.augment, AdaptiveAugment):
        trainer.gan.augment.p.fill_(P)


def step(trainer: Trainer) -> float:
    """Processor seconds of one step of G with its steps of D."""
    began, before = time.process_time(), trainer.steps["G"]
    while trainer.steps["G"] == before:
        trainer.step()
    hold(trainer)
    return time.process_time() - began


def main() -> None:
    """Measure each GAN, print a table."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--gans", default=",".join(name for name in ("dcgan", "stylegan2") if name in gans()))
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    print(
        f"{arguments.side} px, batch {arguments.batch}, {torch.get_num_threads()} threads, p {P}, {arguments.rounds} rounds"
    )
    print("| GAN | augment | ms a step | ratio (min-max) |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.gans.split(","):
            trainers = {way: make_trainer(name, way, arguments.side, arguments.batch, Path(folder)) for way in WAYS}
            for trainer in trainers.values():
                step(trainer)
            rounds = [{way: step(trainer) for way, trainer in trainers.items()} for _ in range(arguments.rounds)]
            for way in WAYS:
                ratios = [times[way] / times["none"] for times in rounds]
                spread = f"{statistics.median(ratios):.3f} ({min(ratios):.2f}-{max(ratios):.2f})"
                print(
                    f"| {name} | {way} | {1000 * statistics.median(times[way] for times in rounds):.1f} | {spread} |",
                    flush=True,
                )
    print(f"The aim for diff and ada: at most {WANTED}.")


if __name__ == "__main__":
    main()
