"""Pictures a second, and the share of the chip's peak, of whole training steps on a GPU.

    python benchmarks/accelerator.py [--steps 40] [--only stylegan2,r3gan] [--eager] [--compile]

A round is one step of G with its steps of D, including penalties where they are due, the optimizers and the average, on
noise. GFLOP of a picture are those of convolutions and matrix products; the peak is that of a large matrix product of
the same precision on the same chip in the same run.
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
CYCLE = 16  # the longest interval between two penalties, in steps
# Name, GAN, side, settings.
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
    """TFLOP/s of a product of bf16 matrices."""
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


def make_trainer(spec: str, side: int, settings: dict[str, Any], folder: Path, *, compiled: bool = False) -> Trainer:
    """A trainer on noise."""
    pictures = np.random.default_rng(0).integers(0, 256, (1024, side, side, 3), np.uint8)
    data = Dataset("noise", None, pictures, None, (), (), {"train": len(pictures), "valid": 0, "test": 0}, "")
    gan, config = configured(spec, (3, side, side), settings)
    built = gan(gan.resolve(config, 25_000_000)).to(CUDA, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Trainer(built, Feed(data, CUDA, seed=0), folder, seed=0, precision="bf16", compiled=compiled)


def steps(trainer: Trainer, count: int) -> int:
    """Take `count` steps of G, with those of D; returns the images shown."""
    until, before = trainer.steps["G"] + count, trainer.nimg
    while trainer.steps["G"] < until:
        trainer.step()
    return trainer.nimg - before


def measure(
    case: tuple[str, str, int, dict[str, Any]], rounds: int, folder: Path, most: float, *, eager: bool, compiled: bool
) -> dict[str, Any]:
    """One row of the table."""
    name, spec, side, settings = case
    torch.cuda.reset_peak_memory_stats()
    trainer = make_trainer(spec, side, settings, folder, compiled=compiled)
    # Neither a recording nor a compiled graph shows its operations.
    recorder, trainer.recorder, compiler, trainer.compiler = trainer.recorder, None, trainer.compiler, None
    with Operations() as counter:  # type: ignore[no-untyped-call]
        counted = steps(trainer, CYCLE)
    trainer.recorder, trainer.compiler = None if eager else recorder, compiler
    steps(trainer, CYCLE * (cuda_graphs.EAGER + 1))
    gflop = counter.total / counted / 1e9
    torch.cuda.synchronize()
    began = time.perf_counter()
    shown = steps(trainer, rounds)
    torch.cuda.synchronize()
    rate = shown / (time.perf_counter() - began)
    parameters = [sum(p.numel() for p in part.parameters()) / 1e6 for part in (trainer.gan.G, trainer.gan.D)]
    return {
        "name": name, "side": side, "batch": trainer.config.batch, "rate": rate, "gflop": gflop,
        "share": rate * gflop / 1000 / most, "parameters": parameters,
        "memory": torch.cuda.max_memory_allocated() / 2**30,
    }  # fmt: skip


def main() -> None:
    """Measure each case, print a table."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--steps", type=int, default=40, help="of each, timed (default: %(default)s)")
    parser.add_argument("--only", default="", help="GANs, separated by commas")
    parser.add_argument("--search", action="store_true", help="let cuDNN try its algorithms and keep the fastest")
    parser.add_argument("--eager", action="store_true", help="without recording steps as CUDA graphs")
    parser.add_argument("--compile", action="store_true", help="compile steps where that is faster, and record those")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("this machine, or this build of torch, has no GPU")
    torch.backends.cudnn.benchmark = arguments.search
    cuda_graphs.EAGER = 1
    most = peak()
    print(f"{device_name(CUDA)}, torch {torch.__version__}, bf16; the peak: {most:.0f} TFLOP/s\n", flush=True)
    print(
        "| GAN | side | batch | pictures/s | s/kimg | GFLOP/picture | of the peak | GiB |\n|---|---|---|---|---|---|---|---|"
    )
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            if arguments.only and case[1].partition(":")[0] not in arguments.only.split(","):
                continue
            try:
                row = measure(
                    case, arguments.steps, Path(folder), most, eager=arguments.eager, compiled=arguments.compile
                )
            except torch.OutOfMemoryError:
                print(f"| {case[0]} | {case[2]} | does not fit in memory |", flush=True)
                continue
            results.append(row)
            print(
                f"| {row['name']} | {row['side']} | {row['batch']} | {row['rate']:.0f} | {1000 / row['rate']:.2f} | "
                f"{row['gflop']:.1f} | {row['share']:.1%} | {row['memory']:.1f} |",
                flush=True,
            )
            gc.collect()
            torch.cuda.empty_cache()
    if arguments.json:
        arguments.json.write_text(json.dumps({"gpu": device_name(CUDA), "peak": most, "cases": results}, indent=1))


if __name__ == "__main__":
    main()
