"""Speed of steps recorded as CUDA graphs on a GPU, and how far the weights differ from those of eager steps.

    python benchmarks/recorded.py [--steps 40] [--gans dcgan,r3gan]

Each GAN trains on noise of 32 px three times with the same seed: eagerly, recorded, and eagerly again. Some kernels add
in no fixed order, so even the two eager runs differ: compare the difference of the recorded run with theirs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simulacra.data.dataset import Dataset, Pair
from simulacra.data.feed import Feed
from simulacra.device import device_name
from simulacra.registry import configured
from simulacra.training.trainer import Trainer

CUDA = torch.device("cuda")
SIDE, PICTURES, KINDS = 32, 256, 3
CASES: list[tuple[str, dict[str, Any]]] = [
    ("mlp", {}),
    ("dcgan", {}),
    ("wgan-gp", {}),
    ("sngan", {}),
    ("cgan", {}),
    ("r3gan", {"network": "conv", "lazy": 4, "augment": "diff", "batch": 32}),
    ("r3gan", {"batch": 32}),
    ("stylegan2", {"batch": 32}),
    ("cyclegan", {"batch": 8, "pool": 8, "loss": "relativistic", "gamma": 1.0, "features": 32}),
]


def noise(name: str) -> Dataset | Pair:
    """Pictures of noise, of two domains or with labels where the GAN needs them."""
    source = np.random.default_rng(0)
    images, others = (source.integers(0, 256, (PICTURES, SIDE, SIDE, 3), np.uint8) for _ in range(2))
    parts = {"train": PICTURES, "valid": 0, "test": 0}
    labels = source.integers(0, KINDS, PICTURES) if name == "cgan" else None
    names = tuple("abc"[:KINDS]) if name == "cgan" else ()
    data = Dataset("noise", None, images, labels, names, (), parts, "")
    if name != "cyclegan":
        return data
    b = Dataset("b", None, others, None, (), (), parts, "")
    return Pair("noise", None, data, b, ("a", "b"), "")


def train(name: str, settings: dict[str, Any], steps: int, *, recorded: bool, folder: Path) -> tuple[Tensor, float]:
    """The weights after so many steps, and milliseconds per step in the later half."""
    torch.manual_seed(0)
    data = noise(name)
    gan, config = configured(name, (3, SIDE, SIDE), settings, labels=0 if isinstance(data, Pair) else len(data.classes))
    feed = Feed(data, CUDA, seed=0)
    built = gan(gan.resolve(config, 100_000)).to(CUDA, memory_format=torch.channels_last)  # type: ignore[call-overload]
    feed.attach_labels(built.G)
    trainer = Trainer(built, feed, folder, seed=0, precision="bf16")
    if not recorded:
        trainer.recorder = None
    for _ in range(steps - steps // 2):
        trainer.step()
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(steps // 2):
        trainer.step()
    torch.cuda.synchronize()
    milliseconds = 1000 * (time.perf_counter() - began) / (steps // 2)
    return torch.cat([value.flatten().float() for value in built.state_dict().values()]), milliseconds


def main() -> None:
    """Run each case, print a table."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--gans", default="", help="with commas; all if not given")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("this machine, or this build of torch, has no GPU")
    print(f"{device_name(CUDA)}, torch {torch.__version__}, {SIDE} px, bf16, {arguments.steps} steps\n")
    print("| GAN | eager, ms a step | recorded | | weights differ by | two eager runs by |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, settings in CASES:
            if arguments.gans and name not in arguments.gans.split(","):
                continue
            common: dict[str, Any] = {"steps": arguments.steps, "folder": Path(folder)}
            runs = [train(name, settings, recorded=recorded, **common) for recorded in (False, True, False)]
            (one, slow), (other, fast), (again, _) = runs
            differences = [float((weights - one).norm() / one.norm()) for weights in (other, again)]
            words = " ".join(f"{key}={value}" for key, value in settings.items())
            print(
                f"| {name} {words} | {slow:.2f} | {fast:.2f} | {slow / fast:.1f}x | {differences[0]:.1e} | {differences[1]:.1e} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
