"""Pictures a second, and the share of the chip's peak, of whole training steps on a GPU.

    python benchmarks/accelerator.py [--steps 40] [--only stylegan2,r3gan] [--eager]

A step is the trainer's own: as many plays of D as the game has and one of G, with penalties as often as they are due,
the optimizers and the average, on noise. GFLOP of a picture are counted, those of convolutions and products alone;
the peak is what a large matrix product of the same precision reaches on the same chip in the same run.
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from step import Operations

from simulacra.data.dataset import Dataset
from simulacra.data.feed import Feed
from simulacra.device import device_name
from simulacra.registry import configured
from simulacra.training import cuda_graphs
from simulacra.training.trainer import Trainer

CUDA = torch.device("cuda")
CYCLE = 16  # the longest time between two penalties, in steps
# Name, game, side, settings.
CASES: list[tuple[str, str, int, dict[str, Any]]] = [
    ("DCGAN, batch 20", "dcgan:faces80", 80, {}),
    ("DCGAN, batch 256", "dcgan:faces80", 80, {"batch": 256}),
    ("WGAN-GP, batch 20", "wgan-gp:faces80", 80, {}),
    ("WGAN-GP, batch 256", "wgan-gp:faces80", 80, {"batch": 256}),
    ("StyleGAN2", "stylegan2", 64, {"batch": 64}),
    ("StyleGAN2", "stylegan2", 128, {"batch": 32}),
    ("StyleGAN2", "stylegan2", 256, {"batch": 16}),
    ("R3GAN, DCGAN's networks", "r3gan", 64, {"network": "conv", "features": 64, "batch": 64}),
    ("R3GAN, small", "r3gan", 64, {"features": 32, "features_max": 512, "batch": 64}),
    ("R3GAN, the paper's for 32 px", "r3gan:cifar32", 32, {"batch": 128}),
    ("R3GAN, the paper's for 64 px", "r3gan:ffhq64", 64, {"batch": 64}),
]


def peak() -> float:
    """The most TFLOP a second that a product of bf16 matrices reaches here."""
    a, b = (torch.randn(8192, 8192, device=CUDA, dtype=torch.bfloat16) for _ in range(2))
    best = 0.0
    for _ in range(3):
        torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(10):
            torch.mm(a, b)
        torch.cuda.synchronize()
        best = max(best, 10 * 2 * 8192**3 / (time.perf_counter() - began))
    return best / 1e12


def trainer(game: str, side: int, settings: dict[str, Any], folder: Path) -> Trainer:
    """A run on noise."""
    pictures = np.random.default_rng(0).integers(0, 256, (1024, side, side, 3), np.uint8)
    data = Dataset("noise", None, pictures, None, (), (), {"train": len(pictures), "valid": 0, "test": 0}, "")
    gan, config = configured(game, (3, side, side), settings)
    built = gan(gan.resolve(config, 25_000_000)).to(CUDA, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Trainer(built, Feed(data, CUDA, seed=0), folder, seed=0, precision="bf16")


def steps(made: Trainer, count: int) -> int:
    """Play until G has played so often; pictures shown meanwhile."""
    until, before = made.steps["G"] + count, made.nimg
    while made.steps["G"] < until:
        made.step()
    return made.nimg - before


def measured(
    case: tuple[str, str, int, dict[str, Any]], rounds: int, folder: Path, most: float, *, eager: bool
) -> dict[str, Any]:
    """One line of the table."""
    name, game, side, settings = case
    torch.cuda.reset_peak_memory_stats()
    made = trainer(game, side, settings, folder)
    recorder, made.recorder = made.recorder, None  # a recording shows no operations
    with Operations() as counter:  # type: ignore[no-untyped-call]
        counted = steps(made, CYCLE)
    made.recorder = None if eager else recorder
    steps(made, CYCLE * (cuda_graphs.EAGER + 1))
    gflop = counter.total / counted / 1e9
    torch.cuda.synchronize()
    began = time.perf_counter()
    shown = steps(made, rounds)
    torch.cuda.synchronize()
    rate = shown / (time.perf_counter() - began)
    parameters = [sum(p.numel() for p in part.parameters()) / 1e6 for part in (made.gan.G, made.gan.D)]
    return {
        "name": name, "side": side, "batch": made.config.batch, "rate": rate, "gflop": gflop,
        "share": rate * gflop / 1000 / most, "parameters": parameters,
        "memory": torch.cuda.max_memory_allocated() / 2**30,
    }  # fmt: skip


def main() -> None:
    """Measure each case, print a table."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--steps", type=int, default=40, help="of each, timed (default: %(default)s)")
    parser.add_argument("--only", default="", help="games, with commas")
    parser.add_argument("--search", action="store_true", help="let cuDNN try its algorithms and keep the fastest")
    parser.add_argument("--eager", action="store_true", help="without recording plays as CUDA graphs")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    asked = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("this machine, or this build of torch, has no GPU")
    torch.backends.cudnn.benchmark = asked.search
    cuda_graphs.EAGER = 1
    most = peak()
    print(f"{device_name(CUDA)}, torch {torch.__version__}, bf16; the peak: {most:.0f} TFLOP/s\n", flush=True)
    print(
        "| game | side | batch | pictures/s | s/kimg | GFLOP/picture | of the peak | GiB |\n|---|---|---|---|---|---|---|---|"
    )
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            if asked.only and case[1].partition(":")[0] not in asked.only.split(","):
                continue
            try:
                told = measured(case, asked.steps, Path(folder), most, eager=asked.eager)
            except torch.OutOfMemoryError:
                print(f"| {case[0]} | {case[2]} | the GPU's memory does not hold it |", flush=True)
                continue
            results.append(told)
            print(
                f"| {told['name']} | {told['side']} | {told['batch']} | {told['rate']:.0f} | {1000 / told['rate']:.2f} | "
                f"{told['gflop']:.1f} | {told['share']:.1%} | {told['memory']:.1f} |",
                flush=True,
            )
            gc.collect()
            torch.cuda.empty_cache()
    if asked.json:
        asked.json.write_text(json.dumps({"gpu": device_name(CUDA), "peak": most, "cases": results}, indent=1))


if __name__ == "__main__":
    main()
