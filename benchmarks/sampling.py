"""How fast pictures are drawn in bf16 beside fp32, and how far their pixels differ.

    python benchmarks/sampling.py [MODEL ...] [--rounds 5]

Without a model, the bundled one. 128 pictures a turn, in turns, by CPU time of one thread; the ratio is the median.
"""

from __future__ import annotations

import argparse
import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import statistics
import time

import torch
from torch import Tensor

import simulacra
from simulacra.generator import Generator

PICTURES = 128


@torch.no_grad()
def draw(generator: Generator, bf16: bool) -> tuple[Tensor, float]:
    """Pixels [N, C, H, W] in levels of 255, and CPU seconds."""
    began = time.process_time()
    pictures = torch.cat(list(generator.pictures(range(PICTURES), bf16=bf16)))
    seconds = time.process_time() - began
    return (pictures.clamp(-1, 1) * 127.5 + 127.5).round(), seconds


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["peeps"])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for model in options.models:
        generator = simulacra.load_generator(model)
        apart = (draw(generator, False)[0] - draw(generator, True)[0]).abs().flatten().sort().values
        times = [[draw(generator, bf16)[1] for bf16 in (False, True)] for _ in range(options.rounds)]
        exact, low = (PICTURES / statistics.median(column) for column in zip(*times, strict=True))
        ratio = statistics.median(slow / fast for slow, fast in times)
        print(f"{model}: fp32 {exact:.0f}/s, bf16 {low:.0f}/s, {ratio:.2f}x", end="; ")
        share = float(apart[int(0.999 * len(apart))])
        print(
            f"pixels differ by {float(apart.mean()):.2f} on average, 99.9 % by at most {share:.0f}, at most {apart[-1]:.0f}"
        )


if __name__ == "__main__":
    main()
