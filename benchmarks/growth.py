"""How the cost of a training step grows with the side of the pictures and with the batch.

    python benchmarks/growth.py [--sides 32,64,128] [--batches 8,16,32,64] [--rounds 5]

Steps of both players, as `auto` chooses them for the built-in people, eager and by CPU time of one thread. All batches of a
side take their turns in one run. Pictures/s counts the pictures that D saw; the share of a step that does not grow with
the batch is that of a line through the medians.
"""

from __future__ import annotations

import argparse
import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

import simulacra
from simulacra.data.prepare import prepare
from simulacra.training.trainer import Trainer

STEPS = 8  # of each player in a turn


class Stepped(BaseException):
    """Ends a training when its trainer is known."""


def trainer(data: Path, folder: Path, batch: int) -> Trainer:
    """The trainer of a run on `data` with `auto`'s settings but for the batch."""
    held: list[Trainer] = []
    step = Trainer.step

    def hold(self: Trainer) -> None:
        held.append(self)
        raise Stepped

    Trainer.step = hold  # type: ignore[method-assign]
    try:
        simulacra.train(data, run=folder, total=10**9, seed=0, device="cpu", compile=False, quiet=True, batch=batch)
    except Stepped:
        pass
    finally:
        Trainer.step = step  # type: ignore[method-assign]
    return held[0]


def seconds(one: Trainer) -> float:
    """CPU seconds of `STEPS` steps of each player."""
    began = time.process_time()
    for _ in range(2 * STEPS):
        one.step()
    return time.process_time() - began


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", default="32,64,128")
    parser.add_argument("--batches", default="8,16,32,64")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    sides, batches = ([int(number) for number in text.split(",")] for text in (options.sides, options.batches))
    torch.set_num_threads(1)
    print("| side | batch | ms a step of D and of G | pictures/s |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for side in sides:
            data = Path(scratch, str(side))
            prepare("peeps", data, size=(side, side))
            trainers = {batch: trainer(data, Path(scratch, f"{side}-{batch}"), batch) for batch in batches}
            for one in trainers.values():
                seconds(one)  # to warm up
            times = {batch: list[float]() for batch in batches}
            for _ in range(options.rounds):
                for batch, one in trainers.items():
                    times[batch].append(seconds(one) / STEPS)
            medians = {batch: statistics.median(measured) for batch, measured in times.items()}
            for batch, pair in medians.items():
                print(f"| {side} px | {batch} | {pair * 1000:.0f} | {batch / pair:.0f} |", flush=True)
            if len(batches) > 1:
                slope, fixed = np.polyfit([*medians], [*medians.values()], 1)
                print(f"{side} px: {fixed * 1000:.0f} ms + {slope * 1000:.2f} ms a picture\n")


if __name__ == "__main__":
    main()
